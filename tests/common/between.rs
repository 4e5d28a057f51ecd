//! A server before another that notes the requests and may spoil them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What becomes of a request.
pub enum Verdict {
    /// The other server answers it.
    Pass,
    /// It is answered with this status and body.
    Answer(u16, &'static str),
    /// It is never answered.
    Hold,
}

/// A server that passes requests on to another.
pub struct Between {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Between {
    /// Starts one before `server`, as in `http://127.0.0.1:9000`. `judge` is asked about each request, such as `GET /bucket/a`.
    pub fn start(server: &str, judge: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (noted, judge) = (Arc::clone(&requests), Arc::new(judge));
        let server = server.strip_prefix("http://").unwrap().to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (noted, judge, server) = (Arc::clone(&noted), Arc::clone(&judge), server.clone());
                // A client that was killed is no fault of the test.
                std::thread::spawn(move || drop(answer(client, &server, &noted, &*judge)));
            }
        });
        Self { url, requests }
    }

    /// One that only notes requests.
    pub fn noting(server: &str) -> Self {
        Self::start(server, |_| Verdict::Pass)
    }

    /// The requests since this was asked last that begin with a method and name an object whose name contains `part`.
    pub fn take(&self, method: &str, part: &str) -> Vec<String> {
        let mut requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.retain(|request| request.starts_with(method) && request.contains(part));
        requests.sort();
        requests
    }
}

/// One request a connection.
fn answer(
    client: TcpStream,
    server: &str,
    noted: &Mutex<Vec<String>>,
    judge: &dyn Fn(&str) -> Verdict,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(&client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(number) = lower.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = head.lines().next().unwrap_or_default().rsplit_once(' ').unwrap().0.to_owned();
    noted.lock().unwrap().push(request.clone());
    let mut reply = Vec::new();
    match judge(&request) {
        Verdict::Pass => {
            let mut other = TcpStream::connect(server)?;
            other.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
            other.write_all(&body)?;
            other.read_to_end(&mut reply)?;
        }
        Verdict::Answer(status, body) => {
            let head =
                format!("HTTP/1.1 {status} Spoiled\r\nConnection: close\r\nContent-Length: {}", body.len());
            reply.extend_from_slice(format!("{head}\r\n\r\n{body}").as_bytes());
        }
        Verdict::Hold => {
            // Until the client is gone.
            reader.read_to_end(&mut body)?;
        }
    }
    (&client).write_all(&reply)
}
