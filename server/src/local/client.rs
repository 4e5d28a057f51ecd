//! Asks the server of an index, if there is one. Whatever is wrong with it, the program answers itself: nothing here is an error.

/// The answer of the server that listens in the folder of an index: a JSON line, or what [`Shown`](super::Shown) has as JSON.
/// None if there is no server, if it is another user's, if it refuses, or if it does not answer in time.
#[cfg(not(unix))]
pub fn ask(_: &std::path::Path, _: &super::wire::Ask) -> Option<Vec<u8>> {
    None
}

#[cfg(unix)]
pub use self::over_socket::ask;

#[cfg(unix)]
mod over_socket {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use akin_index::storage::SOCKET;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

    use super::super::wire::{ANSWERED, Ask, HEARD, LARGEST_ANSWER, LARGEST_REQUEST};

    /// How long a server may take to hear a request. One that is stopped or overloaded costs no more than this.
    const HEARING: Duration = Duration::from_millis(150);

    /// How long it may take to answer.
    const ANSWERING: Duration = Duration::from_secs(2);

    /// The answer of the server that listens in the folder of an index: a JSON line, or what
    /// [`Shown`](crate::local::Shown) has as JSON. None if there is no server, if it is another user's, if it refuses, or if it
    /// does not answer in time.
    pub fn ask(index: &Path, ask: &Ask) -> Option<Vec<u8>> {
        let path = index.join(SOCKET);
        if !is_ours(&path) {
            return None;
        }
        let request = serde_json::to_vec(ask).ok().filter(|request| request.len() <= LARGEST_REQUEST)?;
        let mut stream = connect(&path)?;
        stream.set_write_timeout(Some(HEARING)).ok()?;
        let mut message = u32::try_from(request.len()).ok()?.to_le_bytes().to_vec();
        message.extend_from_slice(&request);
        stream.write_all(&message).ok()?;
        let heard = Instant::now() + HEARING;
        if read(&mut stream, 1, heard)? != [HEARD] {
            return None;
        }
        let answered = Instant::now() + ANSWERING;
        if read(&mut stream, 1, answered)? != [ANSWERED] {
            return None;
        }
        let length = u64::from_le_bytes(read(&mut stream, 8, answered)?.try_into().ok()?);
        read(&mut stream, length, answered)
    }

    /// Whether the file is a socket of this user that nobody else may use. Another user who may write to the folder could
    /// have put one there that lies.
    fn is_ours(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| {
            found.file_type().is_socket()
                && found.uid() == rustix::process::geteuid().as_raw()
                && found.mode() & 0o077 == 0
        })
    }

    /// Connects without waiting, which a server that accepts nothing would make it do.
    fn connect(path: &Path) -> Option<UnixStream> {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).ok()?;
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(true).ok()?;
        rustix::net::connect(&stream, &SocketAddrUnix::new(path).ok()?).ok()?;
        stream.set_nonblocking(false).ok()?;
        Some(stream)
    }

    /// Reads so many bytes before a time.
    fn read(stream: &mut UnixStream, length: u64, until: Instant) -> Option<Vec<u8>> {
        if length > LARGEST_ANSWER {
            return None;
        }
        let (mut bytes, mut part) = (Vec::new(), [0; 64 << 10]);
        while (bytes.len() as u64) < length {
            let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            stream.set_read_timeout(Some(left)).ok()?;
            let wanted = (length - bytes.len() as u64).min(part.len() as u64) as usize;
            match stream.read(&mut part[..wanted]).ok()? {
                0 => return None,
                read => bytes.extend_from_slice(&part[..read]),
            }
        }
        Some(bytes)
    }
}
