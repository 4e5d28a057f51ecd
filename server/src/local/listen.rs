//! The socket in the folder of an index, and the requests that come by it.

#[cfg(unix)]
pub use self::over_socket::Sockets;

/// The sockets of a server: none on this system.
#[cfg(not(unix))]
#[derive(Default)]
pub struct Sockets;

#[cfg(not(unix))]
impl Sockets {
    /// Opens none.
    pub fn open(&self, _: &std::sync::Arc<crate::app::App>, _: &std::sync::Arc<crate::served::ServedIndex>) {}

    /// Has nothing to remove.
    pub fn remove(&self, _: &str) {}

    /// Has nothing to wait for.
    pub async fn close(&self) {}
}

#[cfg(unix)]
mod over_socket {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
    use std::time::{Duration, Instant};

    use akin_index::storage::SOCKET;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::watch;
    use tokio::task::{AbortHandle, JoinSet};
    use tokio::time::timeout;

    use super::super::answer::answer;
    use super::super::wire::{ANSWERED, Ask, HEARD, LARGEST_REQUEST, REFUSED};
    use crate::app::{App, blocking};
    use crate::error::{ApiError, Kind};
    use crate::served::ServedIndex;

    /// How long a request may take to arrive: the program sends it at once.
    const ARRIVING: Duration = Duration::from_secs(1);

    /// Connections of a socket that are open at once.
    const CONNECTIONS: usize = 64;

    /// The sockets of a server, one for each index whose folder takes it.
    pub struct Sockets {
        /// By the names of the indexes. None once the server stops.
        open: Mutex<Option<BTreeMap<String, Socket>>>,
        tasks: Mutex<JoinSet<()>>,
        stop: watch::Sender<bool>,
    }

    struct Socket {
        _file: SocketFile,
        /// Ends the task that accepts connections.
        task: AbortHandle,
    }

    impl Default for Sockets {
        fn default() -> Self {
            let (open, tasks) = (Mutex::new(Some(BTreeMap::new())), Mutex::default());
            Self { open, tasks, stop: watch::Sender::new(false) }
        }
    }

    impl Sockets {
        /// Opens the socket of an index. Within a runtime.
        pub fn open(&self, app: &Arc<App>, index: &Arc<ServedIndex>) {
            let mut open = self.lock();
            let Some(open) = &mut *open else { return };
            match SocketFile::bind(index.folder()) {
                Ok((file, listener)) => {
                    let accepting =
                        accept(listener, Arc::clone(app), Arc::downgrade(index), self.stop.subscribe());
                    let task = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(accepting);
                    open.insert(index.name().to_owned(), Socket { _file: file, task });
                }
                Err(error) => {
                    tracing::info!("`akin query` does not ask this server about {}: {error}", index.name());
                }
            }
        }

        /// Removes the socket of an index that is dropped, and ends its connections.
        pub fn remove(&self, name: &str) {
            if let Some(socket) = self.lock().as_mut().and_then(|open| open.remove(name)) {
                socket.task.abort();
            }
        }

        /// Removes the sockets, and waits for what is being answered.
        pub async fn close(&self) {
            drop(self.lock().take());
            let _ = self.stop.send(true);
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            while tasks.join_next().await.is_some() {}
        }

        fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<String, Socket>>> {
            self.open.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// The file of a socket. It is removed with this, unless another server has put its own there.
    struct SocketFile {
        path: PathBuf,
        identity: [i64; 4],
    }

    impl SocketFile {
        /// Listens in a folder. A socket of another server that lives is left alone, and one that is dead is replaced.
        fn bind(folder: &Path) -> io::Result<(Self, UnixListener)> {
            let path = folder.join(SOCKET);
            let listener = match UnixListener::bind(&path) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    remove_dead(&path)?;
                    UnixListener::bind(&path)?
                }
                other => other?,
            };
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            let identity = identity(&fs::symlink_metadata(&path)?);
            let file = Self { path, identity };
            match fs::symlink_metadata(&file.path)?.mode() & 0o777 {
                0o600 => Ok((file, listener)),
                // A file system without permissions: whoever reaches the folder would be answered.
                mode => {
                    Err(io::Error::other(format!("the socket has the permissions {mode:o}, and not 600")))
                }
            }
        }
    }

    /// Tells a file from the next of its name, which may have its number again.
    fn identity(found: &fs::Metadata) -> [i64; 4] {
        [found.dev() as i64, found.ino() as i64, found.ctime(), found.ctime_nsec()]
    }

    /// Removes the file of a socket that nobody listens on.
    fn remove_dead(path: &Path) -> io::Result<()> {
        if !fs::symlink_metadata(path)?.file_type().is_socket() {
            return Err(io::Error::other("a file has the name of the socket"));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::other("another server answers it")),
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            let is_ours = |found: fs::Metadata| identity(&found) == self.identity;
            if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// Accepts connections until the server stops or the index is dropped.
    async fn accept(
        listener: UnixListener,
        app: Arc<App>,
        index: Weak<ServedIndex>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stopped.wait_for(|is| *is) => break,
            };
            let Some(index) = index.upgrade() else { break };
            match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, Arc::clone(&app), index))),
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Answers the request of a connection. A program that is gone, or asks in no known form, is not answered.
    async fn serve(mut stream: UnixStream, app: Arc<App>, index: Arc<ServedIndex>) {
        let own = rustix::process::geteuid().as_raw();
        if stream.peer_cred().map(|peer| peer.uid()).ok() != Some(own) {
            return;
        }
        let Ok(Ok(ask)) = timeout(ARRIVING, receive(&mut stream)).await else { return };
        let _ = stream.write_all(&[HEARD]).await;
        let started = Instant::now();
        let answered = match timeout(app.limits.time, reply(&app, index, ask)).await {
            Ok(answered) => answered,
            Err(_) => Err(ApiError::new(Kind::Timeout, "the request was not answered in time")),
        };
        let status = match &answered {
            Ok(Some(_)) => 200,
            Ok(None) => 204,
            Err(error) => error.kind.status().as_u16(),
        };
        app.metrics.answered("socket", status, started.elapsed());
        tracing::info!("socket {status} in {:.1?}", started.elapsed());
        let message = match answered {
            Ok(Some(bytes)) => [&[ANSWERED][..], &(bytes.len() as u64).to_le_bytes(), &bytes].concat(),
            // The program meets the error itself, and says it in its own words.
            Ok(None) | Err(_) => vec![REFUSED],
        };
        let _ = timeout(app.limits.time, stream.write_all(&message)).await;
    }

    async fn reply(app: &Arc<App>, index: Arc<ServedIndex>, ask: Ask) -> Result<Option<Vec<u8>>, ApiError> {
        let Ok(_permit) = app.permits.try_acquire() else { return Ok(None) };
        let app = Arc::clone(app);
        blocking(move || answer(&app, &index, &ask)).await
    }

    async fn receive(stream: &mut UnixStream) -> io::Result<Ask> {
        let length = stream.read_u32_le().await? as usize;
        if length > LARGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    #[cfg(test)]
    mod tests {
        use akin_fixtures::Folder;

        use super::*;

        fn runtime() -> tokio::runtime::Runtime {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
        }

        #[test]
        fn the_first_server_keeps_the_socket_and_only_its_user_may_use_it() {
            let folder = Folder::new();
            let path = folder.path(SOCKET);
            runtime().block_on(async {
                let (file, _listener) = SocketFile::bind(folder.root()).unwrap();
                assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
                let error = SocketFile::bind(folder.root()).err().unwrap().to_string();
                assert!(error.contains("another server"), "{error}");
                drop(file);
                assert!(!path.exists());
            });
        }

        #[test]
        fn a_dead_socket_is_replaced_and_another_servers_is_not_removed() {
            let folder = Folder::new();
            let path = folder.path(SOCKET);
            runtime().block_on(async {
                drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
                let (file, listener) = SocketFile::bind(folder.root()).unwrap();
                // As after a crash, when another server has replaced it.
                drop(listener);
                let (_other, _listener) = SocketFile::bind(folder.root()).unwrap();
                drop(file);
                assert!(path.exists());
            });
        }

        #[test]
        fn a_folder_whose_path_is_too_long_has_no_socket() {
            let folder = Folder::new();
            let deep = folder.path(format!("{}/{}", "a".repeat(100), "b".repeat(100)));
            fs::create_dir_all(&deep).unwrap();
            assert!(runtime().block_on(async { SocketFile::bind(&deep).is_err() }));
            assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
        }

        #[test]
        fn a_file_of_that_name_is_left_alone() {
            let folder = Folder::new();
            folder.write(SOCKET, "mine");
            let refused = runtime().block_on(async { SocketFile::bind(folder.root()).is_err() });
            assert!(refused);
            assert_eq!(fs::read(folder.path(SOCKET)).unwrap(), b"mine");
        }
    }
}
