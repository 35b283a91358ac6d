//! Damaged files, failing disks, and what a crash leaves.

use super::*;

fn only_file(spool: &Spool) -> PathBuf {
    let [id] = ids(spool)[..] else { panic!("one waits") };
    spool.path(id)
}

/// Asserts that a folder with this file in place of its only segment tells that it is corrupt, and rejects it.
fn assert_corrupt(temp: &Temp, path: &Path, bytes: &[u8], what: &str) {
    fs::write(path, bytes).expect("writable");
    let spool = temp.open();
    let waiting = spool.waiting();
    assert_eq!(waiting.len(), 1, "{what}");
    let error = spool.read(waiting[0].id).expect_err(what);
    assert!(matches!(&error, SpoolError::Corrupt { path: named, .. } if named == path), "{what}: {error}");
    assert_eq!(waiting[0].bytes, bytes.len() as u64);
    match &waiting[0].header {
        Ok(_) => assert_says(&error, &["the checksum of its body"]),
        Err(at_open) => assert_eq!((at_open, spool.has_waiting("t")), (&error, false), "{what}"),
    }
}

#[test]
fn every_changed_byte_is_found() {
    let temp = Temp::new("flipped");
    append(&temp.open(), "t", &[b"t x=1i 1\n"]);
    let path = only_file(&temp.open());
    let sound = fs::read(&path).expect("its file");
    for at in 0..sound.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= mask;
            assert_corrupt(&temp, &path, &bytes, &format!("byte {at} of {} by {mask}", sound.len()));
        }
    }
    fs::write(&path, sound).expect("writable");
    assert_eq!(bodies(&temp.open()), [b"t x=1i 1\n"]);
}

#[test]
fn every_other_length_is_found() {
    let temp = Temp::new("truncated");
    append(&temp.open(), "t", &[b"t x=1i 1\n"]);
    let path = only_file(&temp.open());
    let sound = fs::read(&path).expect("its file");
    for len in 0..sound.len() {
        assert_corrupt(&temp, &path, &sound[..len], &format!("{len} of {}", sound.len()));
    }
    assert_corrupt(&temp, &path, &[&sound[..], b"\0"].concat(), "one more");
    assert_corrupt(&temp, &path, &vec![0; sound.len()], "zeros");
    // Lengths that no memory could hold, or whose sum is none.
    for length in [u64::MAX, u64::MAX - 40, 1 << 62, sound.len() as u64] {
        for at in [8, 16] {
            let mut bytes = sound.clone();
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
            assert_corrupt(&temp, &path, &bytes, &format!("length {length} at {at}"));
        }
    }
}

#[test]
fn a_header_with_a_right_checksum_may_still_be_unreadable() {
    let temp = Temp::new("header");
    append(&temp.open(), "t", &[b"x"]);
    let path = only_file(&temp.open());
    let text = simd_json::serde::to_string(&header("t", 1)).expect("JSON");
    let with = |version: u8, header: &str| {
        let mut bytes = [b"QFSPOOL".as_slice(), &[version]].concat();
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&1_u64.to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.push(b'x');
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    };
    let version = text.replace("\"protocol_version\":2", "\"protocol_version\":9");
    assert_ne!(version, text);
    for (header, piece) in [("{}", "header"), ("", "header"), ("\u{0}", "header"), (&version, "protocol version 9")] {
        assert_corrupt(&temp, &path, &with(1, header), header);
        assert_says(&temp.open().read(ids(&temp.open())[0]).expect_err("corrupt"), &[piece]);
    }
    assert_corrupt(&temp, &path, &with(2, &text), "version");
    assert_says(&temp.open().read(ids(&temp.open())[0]).expect_err("newer"), &["version 2", "reads 1"]);
    fs::write(&path, with(1, &text)).expect("writable");
    assert_eq!(bodies(&temp.open()), [b"x"]);
}

#[test]
fn a_corrupt_segment_blocks_nothing() {
    let temp = Temp::new("corrupt");
    append(&temp.open(), "t", &[b"0", b"1", b"2"]);
    let spool = temp.open();
    let [first, second, third] = ids(&spool)[..] else { panic!("three wait") };
    fs::write(spool.path(second), b"").expect("writable");
    // Found when it is read, found when it is opened: rejected either way.
    let error = spool.read(second).expect_err("corrupt");
    assert_says(&error, &["000001.seg", "too early", "Write its rows again"]);
    drop(spool);
    let spool = temp.open();
    assert_eq!((ids(&spool), spool.has_waiting("T")), (vec![first, second, third], true));
    let target = spool.reject(second, &error.to_string()).expect("it waits");
    assert_eq!(fs::read(target).expect("moved"), b"");
    assert_eq!(bodies(&spool), [b"0", b"2"]);
    append(&spool, "t", &[b"3"]);
    assert_eq!(bodies(&spool), [b"0", b"2", b"3"]);
}

#[test]
fn what_a_crash_leaves_is_tidied_up() {
    let temp = Temp::new("leftovers");
    append(&temp.open(), "t", &[b"0", b"1"]);
    append(&temp.open(), "t", &[b"2"]);
    let folder = temp.spool();
    let accepted = temp.files();
    // Killed while it wrote.
    for (append, bytes) in [("append-0.tmp", &b"QFSPO"[..]), ("append-17.tmp", b"")] {
        fs::create_dir(folder.join(append)).expect("made");
        fs::write(folder.join(append).join("000000.seg"), bytes).expect("made");
        fs::write(folder.join(append).join("000001.seg"), bytes).expect("made");
    }
    fs::create_dir(folder.join("append-3.tmp")).expect("made");
    // Killed after a segment was delivered, and before its folder was removed.
    fs::create_dir(folder.join("00000000000000000000")).expect("made");
    // Killed after the reason was written, and before the segment was moved.
    fs::create_dir(folder.join("rejected")).expect("made");
    fs::write(folder.join("rejected/00000000000000000001-000001.reason.txt"), "n").expect("made");
    let spool = temp.open();
    assert_eq!(temp.files(), [&accepted[..], &["rejected".to_owned()]].concat());
    assert_eq!(bodies(&spool), [b"0", b"1", b"2"]);
}

#[test]
fn a_commit_that_fails_leaves_nothing() {
    let temp = Temp::new("in-the-way");
    let spool = temp.open();
    append(&spool, "t", &[b"0"]);
    // Something that cannot be replaced has the next number.
    let obstacle = temp.spool().join("00000000000000000002");
    fs::create_dir(&obstacle).expect("made");
    fs::write(obstacle.join("foreign"), b"").expect("made");
    let before = (temp.files(), spool.bytes());
    let mut refused = spool.begin();
    refused.add(header("t", 1), b"1").expect("room");
    assert_says(&refused.commit().expect_err("in the way"), &["cannot rename", "append-1.tmp"]);
    assert_eq!((temp.files(), spool.bytes()), before);
    assert_eq!(spool.state().reserved, 0);
    append(&spool, "t", &[b"2"]);
    assert_eq!(bodies(&spool), [b"0", b"2"]);
}

#[test]
fn a_folder_that_vanishes_is_told() {
    let temp = Temp::new("vanished");
    let spool = temp.open();
    append(&spool, "t", &[b"0"]);
    let [id] = ids(&spool)[..] else { panic!("one waits") };
    let mut late = spool.begin();
    late.add(header("t", 1), b"1").expect("room");
    fs::remove_dir_all(temp.spool()).expect("removed");
    for error in [
        late.commit().expect_err("no folder"),
        spool.begin().add(header("t", 1), b"2").expect_err("no folder"),
        spool.read(id).expect_err("no file"),
        spool.reject(id, "no").expect_err("no folder"),
        spool.remove(id).expect_err("no folder"),
    ] {
        assert!(matches!(error, SpoolError::Io { .. }), "{error}");
        assert_says(&error, &[&temp.spool().display().to_string(), "is the disk there"]);
    }
}

#[test]
fn a_path_that_is_no_folder_is_told() {
    let temp = Temp::new("no-folder");
    let file = temp.0.join("file");
    File::create(&file).expect("made");
    for path in [&file, &file.join("below")] {
        let error = Spool::open(path, ROOM).expect_err("a file");
        assert_says(&error, &[&path.display().to_string()]);
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_told() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let temp = Temp::new("read-only");
    let spool = temp.open();
    append(&spool, "t", &[b"0"]);
    let allow = |mode| fs::set_permissions(temp.spool(), Permissions::from_mode(mode)).expect("our folder");
    allow(0o500);
    if fs::create_dir(temp.spool().join("probe")).is_ok() {
        return; // Permissions do not hold for root.
    }
    let [id] = ids(&spool)[..] else { panic!("one waits") };
    for error in [
        spool.begin().add(header("t", 1), b"1").expect_err("read-only"),
        spool.reject(id, "no").expect_err("read-only"),
    ] {
        assert_says(&error, &["cannot create", "may this user write to it?"]);
    }
    allow(0o700);
    assert_eq!(bodies(&spool), [b"0"]);
    append(&spool, "t", &[b"1"]);
}
