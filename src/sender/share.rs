//! How a frame is shared among connections.
//!
//! The server works on as many requests at once as there are connections, and a request is one transaction of its log:
//! few large ones cost it less than many small ones. But a connection that has to wait for its first bytes, or has
//! nothing left while another sends the last request, leaves the server idle.

/// Requests are not made smaller than this to share a frame among connections.
const MIN_SHARED: usize = 1 << 20;

/// The size of the next request, of a frame of which so many bytes are left and so many requests have been made.
///
/// In the end there are as many requests for each connection, two at least, and of one size; but the first for each are
/// smaller, so that none waits long for its first bytes.
pub(super) fn share(left: usize, largest: usize, made: usize, connections: usize) -> usize {
    let connections = connections.max(1);
    // Buffers are never quite full.
    let needed = left.div_ceil((largest - largest / 32).max(1));
    let requests = made.saturating_add(needed).max(2 * connections);
    let requests = requests.checked_next_multiple_of(connections).unwrap_or(requests);
    let share = left / (requests - made).max(1);
    // A little more, so that the last request is not a crumb.
    let share = share.saturating_add(share / 32);
    let share = if made < connections { share / (2 * connections) * (made + 1) } else { share };
    share.max(MIN_SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// The sizes of all requests of a frame.
    fn cut(mut left: usize, largest: usize, connections: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        while left > 0 {
            let size = share(left, largest, sizes.len(), connections).min(largest).min(left);
            sizes.push(size);
            left -= size;
        }
        sizes
    }

    #[test]
    fn every_connection_gets_as_many_requests_and_the_last_of_one_size() {
        for connections in 1..=8 {
            for mib in [60, 81, 85, 100, 404, 4040] {
                let sizes = cut(mib * MIB, 16 * MIB, connections);
                assert_eq!(sizes.len() % connections, 0, "{mib} MiB, {connections} connections: {sizes:?}");
                let last = &sizes[sizes.len() - connections..];
                let (least, most) = (last.iter().min().expect("one"), last.iter().max().expect("one"));
                assert!(most - least <= most / 4, "{mib} MiB, {connections} connections: {sizes:?}");
                assert!(sizes.len() <= mib / 15 + 3 * connections, "{mib} MiB, {connections} connections: {sizes:?}");
            }
        }
    }

    #[test]
    fn first_requests_are_smaller() {
        let sizes = cut(80 * MIB, 16 * MIB, 2);
        assert!(sizes[0] < 4 * MIB && sizes[1] < 8 * MIB && sizes[2] > 11 * MIB, "{sizes:?}");
    }

    #[test]
    fn small_frames_are_not_cut_into_crumbs() {
        assert_eq!(cut(MIB / 2, 16 * MIB, 2), [MIB / 2]);
        assert_eq!(cut(3 * MIB, 16 * MIB, 2), [MIB; 3]);
        assert!(cut(8 * MIB, 16 * MIB, 2).iter().all(|size| *size >= MIB));
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(share(usize::MAX, 1, 0, 64), MIB);
        assert!(share(usize::MAX, usize::MAX, usize::MAX - 1, 3) >= MIB);
        assert_eq!(share(0, 16 * MIB, 5, 2), MIB);
    }
}
