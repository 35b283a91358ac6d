use super::*;

fn ok(conf: &str) -> Config {
    Config::from_conf(conf).unwrap_or_else(|error| panic!("{conf}: {error}"))
}

fn err(conf: &str) -> String {
    Config::from_conf(conf).expect_err(conf).to_string()
}

/// Asserts that the error's text holds all of these pieces.
#[track_caller]
fn err_says(conf: &str, pieces: &[&str]) {
    let text = err(conf);
    for piece in pieces {
        assert!(text.contains(piece), "{conf}: {text:?} does not say {piece:?}");
    }
}

#[test]
fn defaults_are_the_official_ones() {
    let config = ok("http::addr=localhost");
    assert_eq!(config.scheme(), Scheme::Http);
    assert_eq!(config.addresses().join(","), "localhost:9000");
    assert!(matches!(config.auth(), Auth::None));
    assert_eq!(config.auth_timeout(), Duration::from_secs(15));
    assert_eq!(config.bind_interface(), None);
    assert_eq!(config.tls(), None);
    assert_eq!(config.protocol_version(), None);
    assert_eq!(config.request_timeout(), Duration::from_secs(10));
    assert_eq!(config.request_min_throughput(), 102_400);
    assert_eq!(config.retry_timeout(), Duration::from_secs(10));
    assert_eq!(config.retry_max_backoff(), Duration::from_secs(1));
    assert_eq!(config.max_buf_size(), 104_857_600);
    assert_eq!(config.init_buf_size, 65_536);
    assert_eq!(config.max_name_len(), 127);
    assert_eq!(config.auto_flush_rows(), None);
    assert_eq!(config.auto_flush_bytes(), None);
    assert_eq!(config.connections(), 2);
    assert_eq!(config.pool_bytes(), 67_108_864);
    assert_eq!(config.table(), None);
    assert_eq!(config.at(), None);
    assert!(config.warnings().is_empty());
}

#[test]
fn every_key_is_read() {
    let config = ok("http::addr=h:1;protocol_version=2;request_timeout=1;request_min_throughput=0;retry_timeout=0;\
         retry_max_backoff_millis=10;max_buf_size=1024;init_buf_size=10;max_name_len=16;auto_flush_rows=7;\
         auto_flush_bytes=8;connections=64;pool_bytes=1048576;table=t;at=ts;");
    assert_eq!(config.addresses().join(","), "h:1");
    assert_eq!(config.protocol_version(), Some(ProtocolVersion::V2));
    assert_eq!(config.request_timeout(), Duration::from_millis(1));
    assert_eq!(config.request_min_throughput(), 0);
    assert_eq!(config.retry_timeout(), Duration::ZERO);
    assert_eq!(config.retry_max_backoff(), Duration::from_millis(10));
    assert_eq!(config.max_buf_size(), 1024);
    assert_eq!(config.init_buf_size, 10);
    assert_eq!(config.max_name_len(), 16);
    assert_eq!(config.auto_flush_rows(), Some(7));
    assert_eq!(config.auto_flush_bytes(), Some(8));
    assert_eq!(config.connections(), 64);
    assert_eq!(config.pool_bytes(), 1_048_576);
    assert_eq!(config.table(), Some("t"));
    assert_eq!(config.at(), Some("ts"));
    assert_eq!(ok("http::addr=h;protocol_version=auto").protocol_version(), None);
    assert_eq!(
        "http::addr=h".parse::<Config>().map(|config| config.addresses().join(",")).ok().as_deref(),
        Some("h:9000")
    );
}

#[test]
fn schemes() {
    assert_eq!(ok("https::addr=h").addresses().join(","), "h:9000");
    assert_eq!(ok("tcp::addr=h").addresses().join(","), "h:9009");
    assert_eq!(ok("tcps::addr=h").scheme(), Scheme::Tcps);
    assert_eq!(ok("HTTP::addr=h").scheme(), Scheme::Http);
    err_says("ws::addr=h", &["unknown scheme \"ws\"", "use \"http\""]);
    err_says("http", &["byte 4", "expected '::'"]);
    err_says("http:addr=h", &["byte 5", "expected '::'"]);
    err_says("http://h:9000", &["byte 5", "expected '::'"]);
    err_says("", &["byte 0", "empty"]);
    err_says("http::", &["\"addr\" is missing"]);
}

#[test]
fn syntax_errors_tell_the_byte() {
    err_says("http::addr", &["byte 10", "expected '='"]);
    err_says("http::addr=h; table=t", &["byte 13", "expected a key"]);
    err_says("http::addr=h;=t", &["byte 13", "expected a key"]);
    err_says("http::addr=h;table=é;x-y=1", &["byte 23", "expected '='"]);
    err_says("http::addr=h;table=a\nb", &["byte 20", "control character"]);
    err_says("http::addr=h;table=a;table=b", &["\"table\" is given twice", "byte 21"]);
    assert_eq!(ok("http::addr=h;table=a;;").table(), Some("a;"));
    assert_eq!(ok("http::addr=h;table=a b=c ").table(), Some("a b=c "));
}

#[test]
fn addresses() {
    assert_eq!(ok("http::addr=[::1]").addresses().join(","), "[::1]:9000");
    assert_eq!(ok("http::addr=[::1]:1234").addresses().join(","), "[::1]:1234");
    assert_eq!(ok("tcp::addr=[fe80::1]").addresses().join(","), "[fe80::1]:9009");
    assert_eq!(ok("http::addr=my_host-1.example:65535").addresses().join(","), "my_host-1.example:65535");
    for addr in ["h:0", "h:65536", "h:abc", "h:", "h:+1", "[::1]:x", "h:1:2"] {
        err_says(&format!("http::addr={addr}"), &[&format!("{addr:?}"), "port must be a number from 1 to 65535"]);
    }
    err_says("http::addr=::1", &["brackets"]);
    err_says("http::addr=[::1", &["']'"]);
    err_says("http::addr=[::1]9000", &["expected ':'"]);
    err_says("http::addr=[localhost]:1", &["IPv6"]);
    err_says("http::addr=", &["host is missing"]);
    err_says("http::addr=:9000", &["host is missing"]);
    err_says("http::addr=http://h:9000", &["leave out \"http://\""]);
    err_says("http::addr=h h:9000", &["character"]);
    assert_eq!(ok("http::addr=a,b:1, [::1]:2").addresses(), ["a:9000", "b:1", "[::1]:2"]);
    err_says("http::addr=a:1,b:1,a:1", &["names a:1 twice"]);
    err_says("http::addr=a,", &["the host is missing"]);
    err_says("http::addr=a;addr=b", &["\"addr\" is given twice, again at byte 13", "addr=first:9000,second:9000"]);
    let text = err("http::addr=user:pass,word@host:9000");
    assert!(!text.contains("pass") && !text.contains("word@"), "{text}");
}

#[test]
fn unknown_keys_name_the_nearest() {
    err_says("http::addr=h;retry_max_backoff=100", &["\"retry_max_backoff\"", "\"retry_max_backoff_millis\"?"]);
    err_says("http::addr=h;Username=a", &["\"Username\"", "\"username\"?", "lower case"]);
    err_says("http::addr=h;conections=3", &["\"connections\"?"]);
    err_says("http::addr=h;adr=h", &["\"addr\"?"]);
    assert!(!err("http::addr=h;zzz=1").contains("did you mean"));
}

#[test]
fn foreign_keys_make_one_warning() {
    let config = ok("http::addr=h;sf_dir=/x;failover_x=1;path=/y;");
    let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
    assert!(warning.ends_with("\"failover_x\", \"path\", \"sf_dir\""), "{warning}");
}

#[test]
fn http_credentials() {
    assert!(matches!(
        ok("http::addr=h;username=u;password=p;").auth(),
        Auth::Basic { username, password } if username == "u" && password == "p"
    ));
    assert!(matches!(ok("https::addr=h;token=t").auth(), Auth::Bearer { token } if token == "t"));
    let cases = [
        ("username=u", "\"username\" is present, but \"password\" is missing."),
        ("password=p", "\"password\" is present, but \"username\" is missing."),
        ("token=t;username=u", "Inconsistent HTTP authentication parameters."),
        ("token=t;username=u;password=p", "Inconsistent HTTP authentication parameters."),
        ("token=t;username=u;token_x=x;token_y=y", "ECDSA authentication is only available with ILP/TCP"),
        ("token_x=x", "Incomplete authentication parameters."),
        ("token=t;token_x=x;token_y=y", "Incomplete authentication parameters."),
        ("token=", "\"token\" is empty"),
    ];
    for (keys, text) in cases {
        err_says(&format!("http::addr=h;{keys}"), &[text]);
    }
}

#[test]
fn tcp_credentials() {
    let config = ok("tcp::addr=h;username=k;token=d;token_x=x;token_y=y;");
    assert!(matches!(
        config.auth(),
        Auth::Ecdsa { key_id, private_key, public_x, public_y }
            if (key_id.as_str(), private_key.as_str(), public_x.as_str(), public_y.as_str()) == ("k", "d", "x", "y")
    ));
    let cases = [
        ("username=u;password=p", "The \"basic_auth\" setting can only be used with the ILP/HTTP protocol."),
        ("token=t", "Token authentication only be used with the ILP/HTTP protocol."),
        ("username=k;token=d", "Incomplete ECDSA authentication parameters."),
        ("password=p", "Incomplete authentication parameters."),
    ];
    for (keys, text) in cases {
        err_says(&format!("tcp::addr=h;{keys}"), &[text]);
    }
}

#[test]
fn tcp_keys() {
    let config = ok("tcp::addr=h;bind_interface=127.0.0.1;auth_timeout=1;");
    assert_eq!(config.bind_interface(), Some("127.0.0.1"));
    assert_eq!(config.auth_timeout(), Duration::from_millis(1));
    assert!(config.warnings().is_empty());
    assert_eq!(ok("tcps::addr=h;bind_interface=[::1]").bind_interface(), Some("[::1]"));
    err_says("tcp::addr=h;bind_interface=", &["\"bind_interface\" is empty"]);
    err_says("tcps::addr=h,i;", &["names several hosts", "the stream of \"tcps\" goes to one"]);

    assert_eq!(ok("http::addr=h;auth_timeout=7").auth_timeout(), Duration::from_millis(7));
    for scheme in ["http", "https"] {
        let text = "The \"bind_interface\" setting can only be used with the TCP protocol.";
        err_says(&format!("{scheme}::addr=h;bind_interface=1.2.3.4"), &[text]);
    }
}

#[test]
fn numbers_name_key_and_value() {
    let cases = [
        ("max_buf_size=abc", "at least 1024"),
        ("max_buf_size=1023", "at least 1024"),
        ("max_name_len=15", "at least 16"),
        ("retry_max_backoff_millis=9", "at least 10"),
        ("request_timeout=0", "at least 1"),
        ("request_timeout=-1", "at least 1"),
        ("auth_timeout=0", "at least 1"),
        ("auth_timeout=x", "at least 1"),
        ("retry_timeout=+5", "a whole number"),
        ("retry_timeout=", "a whole number"),
        ("request_min_throughput=99999999999999999999", "a whole number"),
        ("connections=0", "from 1 to 64"),
        ("connections=65", "from 1 to 64"),
        ("pool_bytes=1000", "at least 1048576"),
        ("init_buf_size=x", "a whole number"),
        ("auto_flush_rows=0", "at least 1, or \"off\""),
        ("auto_flush_bytes=on", "at least 1, or \"off\""),
        ("auto_flush_interval=-1", "at least 1, or \"off\""),
        ("auto_flush=true", "one of \"on\", \"off\""),
        ("protocol_version=4", "one of \"auto\", \"1\", \"2\", \"3\""),
    ];
    for (pair, expected) in cases {
        let (key, value) = pair.split_once('=').unwrap_or_default();
        err_says(&format!("http::addr=h;{pair}"), &[&format!("{key:?} cannot be {value:?}"), expected]);
    }
    let long = format!("http::addr=h;retry_timeout={}", "é".repeat(500));
    assert!(err(&long).len() < 200);
    err_says("http::addr=h;table=", &["\"table\" is empty"]);
    err_says("http::addr=h;at=", &["\"at\" is empty"]);
}

#[test]
fn auto_flush_caps_requests_only_by_numbers() {
    let caps = |keys: &str| {
        let config = ok(&format!("http::addr=h;{keys}"));
        (config.auto_flush_rows(), config.auto_flush_bytes())
    };
    assert_eq!(caps("auto_flush=on;auto_flush_interval=5"), (None, None));
    assert_eq!(caps("auto_flush_rows=off;auto_flush_bytes=9"), (None, Some(9)));
    assert_eq!(caps("auto_flush_rows=5;auto_flush_bytes=9;auto_flush=off"), (None, None));
    assert_eq!(caps("auto_flush_rows=off;auto_flush_interval=off"), (None, None));
    err_says("http::addr=h;auto_flush=on;auto_flush_rows=off;auto_flush_interval=off", &["all off"]);
}

#[test]
fn tls_settings() {
    let tls = |keys: &str| ok(&format!("https::addr=h;{keys}")).tls().cloned();
    assert_eq!(tls(""), Some(Tls { verify: true, ca: TlsCa::WebpkiAndOsRoots }));
    assert_eq!(tls("tls_verify=unsafe_off"), Some(Tls { verify: false, ca: TlsCa::WebpkiAndOsRoots }));
    assert_eq!(tls("tls_verify=on;tls_ca=os_roots"), Some(Tls { verify: true, ca: TlsCa::OsRoots }));
    assert_eq!(tls("tls_ca=webpki_roots"), Some(Tls { verify: true, ca: TlsCa::WebpkiRoots }));

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let pem = Some(Tls { verify: true, ca: TlsCa::PemFile(file.into()) });
    assert_eq!(tls(&format!("tls_roots={file}")), pem);
    assert_eq!(tls(&format!("tls_roots={file};tls_ca=pem_file")), pem);

    err_says(&format!("https::addr=h;tls_roots={file};tls_ca=os_roots"), &["\"tls_ca\" is already specified"]);
    err_says("https::addr=h;tls_roots=/no/such.pem", &["\"tls_roots\" cannot be read", "/no/such.pem"]);
    err_says("https::addr=h;tls_ca=pem_file", &["\"tls_roots\" is missing"]);
    err_says("https::addr=h;tls_ca=foo", &["\"tls_ca\" cannot be \"foo\"", "\"os_roots\""]);
    err_says("https::addr=h;tls_verify=off", &["\"tls_verify\" cannot be \"off\"", "\"unsafe_off\""]);
    for (key, value) in [("tls_verify", "on"), ("tls_ca", "os_roots"), ("tls_roots", "/x")] {
        let text = format!("Cannot set {key:?}: TLS is not supported for protocol http");
        err_says(&format!("http::addr=h;{key}={value}"), &[&text]);
        err_says(&format!("tcp::addr=h;{key}={value}"), &["protocol tcp"]);
    }
}

#[test]
fn http_keys_on_tcp() {
    for key in ["retry_timeout", "retry_max_backoff_millis", "request_timeout", "request_min_throughput"] {
        err_says(&format!("tcp::addr=h;{key}=100"), &[key, "supported only in ILP over HTTP"]);
    }
}

#[test]
fn secrets_stay_out_of_errors_and_debug() {
    const SECRET: &str = "hunter2";
    let errors = [
        "http::addr=h;password=hunter2",
        "http::addr=h;password=hunter2;nokey",
        "http::addr=h;password=hunter2\u{1}x",
        "http::addr=h;token=hunter2;token=hunter2",
        "http::addr=h;username=u;password=a;hunter2",
        "http::addr=h;username=u;password=a;hunter2=b",
        "http::addr=h;username=u;password=a;;b;hunter2=b",
        "http::addr=h;username=u;password=a;x=1;hunter2=b",
        "http::addr=h;username=u;password=a;x=1;hunter2=b;x=2",
        "http::addr=h;username=u;password=a;hunter2=1;hunter2=2",
        "http::addr=u:hunter2@h:9000",
        "http::addr=h;tls_roots_password=hunter2",
        "https::addr=h;tls_roots_password=hunter2",
        "http::addr=h;token=hunter2;token_x=hunter2;connections=0",
        "hunter2",
    ];
    for conf in errors {
        let error = Config::from_conf(conf).expect_err(conf);
        assert!(!error.to_string().contains(SECRET), "{conf}: {error}");
        assert!(!format!("{error:?}").contains(SECRET), "{conf}: {error:?}");
    }
    err_says("http::addr=h;username=u;password=a;bc=d", &["\"password\"", "';;'"]);

    for conf in [
        "http::addr=h;username=u;password=hunter2",
        "http::addr=h;token=hunter2",
        "tcp::addr=h;username=u;token=hunter2;token_x=hunter2;token_y=hunter2",
    ] {
        let debug = format!("{:?}", ok(conf));
        assert!(!debug.contains(SECRET) && debug.contains("***"), "{debug}");
    }
}

#[test]
fn environment() {
    assert_eq!(
        Config::from_env_value(Some("http::addr=h".into())).map(|config| config.addresses()).ok(),
        Some(vec!["h:9000".to_owned()])
    );
    let unset = Config::from_env_value(None).expect_err("unset").to_string();
    assert!(unset.contains("QDB_CLIENT_CONF is not set"), "{unset}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        assert!(matches!(
            Config::from_env_value(Some(OsString::from_vec(vec![0xff]))),
            Err(ConfigError::EnvNotUnicode)
        ));
    }
}
