//! A connection that is in the open until TLS begins on it.
//!
//! INVARIANT: nothing that was said in the open is read as an answer inside TLS. What somebody on the way sends behind the answer to STARTTLS is
//! left where it is, so that the handshake meets it and fails. Held by `tests` and by `tests/clients/test_mail.py`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What the record of a handshake begins with (RFC 8446, section 5.1), and no command of SMTP.
const HANDSHAKE: u8 = 22;

/// Such a connection. In the open it gives a byte at a time: whoever reads lines of it through a buffer has nothing left behind a line's end.
#[derive(Debug)]
pub(crate) struct InTheOpen {
    stream: TcpStream,
    /// Whether TLS has begun.
    is_over: bool,
}

impl InTheOpen {
    /// Connects.
    ///
    /// # Errors
    /// If nobody is there, or not within `wait_max`.
    pub(crate) async fn connect(server: &str, port: u16, wait_max: Duration) -> io::Result<Self> {
        let connecting = tokio::time::timeout(wait_max, TcpStream::connect((server, port)));
        let stream = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self { stream, is_over: false })
    }
}

impl AsyncTokioStream for InTheOpen {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for InTheOpen {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [0_u8; 1];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut one))?;
        buffer.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InTheOpen {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_over |= bytes.first() == Some(&HANDSHAKE);
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_comes_behind_an_answer_in_the_open_is_left_to_the_handshake() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = InTheOpen::connect("127.0.0.1", port, Duration::from_secs(5)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut client = BufReader::new(connected);
        server.write_all(b"220 go ahead\r\n250 of somebody else\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_line(&mut answer).await.unwrap();
        assert_eq!(answer, "220 go ahead\r\n");
        assert!(client.buffer().is_empty(), "{:?}", client.buffer());
        client.get_mut().write_all(&[HANDSHAKE, 3, 1]).await.unwrap();
        let mut rest = [0_u8; 64];
        let count = client.get_mut().read(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest[..count]), "250 of somebody else\r\n");
    }
}
