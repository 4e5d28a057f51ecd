//! What systemd gives a service, and hears of it: sockets that it listens on already, and whether requests are taken.

use std::io;
use std::net::TcpListener;

/// The first socket that systemd has passed to this process (`LISTEN_FDS`); none if it has passed none.
///
/// # Errors
/// Where a socket was passed that is not one of TCP.
pub fn inherited() -> io::Result<Option<TcpListener>> {
    let mut passed = listenfd::ListenFd::from_env();
    if passed.len() == 0 {
        return Ok(None);
    }
    passed.take_tcp_listener(0)
}

/// Tells systemd that requests are taken (`Type=notify`); nothing where it does not ask (`NOTIFY_SOCKET`).
#[cfg(unix)]
pub fn notify_ready() {
    use std::os::unix::net::UnixDatagram;
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| {
        let address = address_of(&path)?;
        socket.send_to_addr(b"READY=1", &address)
    });
    if let Err(error) = sent {
        tracing::warn!("systemd cannot be told that requests are taken: {error}");
    }
}

/// Tells nobody on this system.
#[cfg(not(unix))]
pub fn notify_ready() {}

/// A path, or behind an `@` a name in the abstract namespace of Linux.
#[cfg(unix)]
fn address_of(path: &std::ffi::OsStr) -> io::Result<std::os::unix::net::SocketAddr> {
    use std::os::unix::net::SocketAddr;
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_behind_an_at_sign_is_abstract_and_any_other_a_path() {
        let path = address_of("/run/systemd/notify".as_ref()).unwrap();
        assert_eq!(path.as_pathname().unwrap().to_str(), Some("/run/systemd/notify"));
        use std::os::linux::net::SocketAddrExt;
        let name = address_of("@/org/notify".as_ref()).unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"/org/notify"[..]));
    }
}
