//! A grpc-web answer that is read while it comes, as a browser reads a watch.

use std::{io, net::SocketAddr};

use prost::Message;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{CONTENT_TYPE, TRAILERS, framed, wrong};

/// An answer in chunks.
pub struct WebStream {
    stream: BufReader<TcpStream>,
    /// Of the body, without the marks of its chunks; not read yet.
    ahead: Vec<u8>,
}

impl WebStream {
    /// Calls a method with one message.
    pub async fn open(address: SocketAddr, path: &str, request: &impl Message) -> io::Result<Self> {
        let body = framed(request);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {CONTENT_TYPE}\r\naccept: {CONTENT_TYPE}\r\n\
             x-grpc-web: 1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        let mut is_chunked = false;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            is_chunked |= line.trim().eq_ignore_ascii_case("transfer-encoding: chunked");
            if line.trim().is_empty() {
                break;
            }
        }
        if is_chunked { Ok(Self { stream, ahead: Vec::new() }) } else { Err(wrong("not an answer in chunks")) }
    }

    /// The next message, as soon as it is there; `None` at the trailers. An answer that breaks off is an error.
    pub async fn next<T: Message + Default>(&mut self) -> io::Result<Option<T>> {
        let flags_and_length = self.take(5).await?;
        let length = u32::from_be_bytes([1, 2, 3, 4].map(|at| flags_and_length[at]));
        let payload = self.take(length as usize).await?;
        if flags_and_length[0] & TRAILERS == TRAILERS { Ok(None) } else { Ok(Some(T::decode(&*payload)?)) }
    }

    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            let mut line = String::new();
            self.stream.read_line(&mut line).await?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| wrong("the answer breaks off"))?;
            if size == 0 {
                return Err(wrong("the answer ends in a frame"));
            }
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).await?;
            self.ahead.extend(&chunk[..size]);
        }
        let rest = self.ahead.split_off(count);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }
}
