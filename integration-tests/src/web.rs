//! grpc-web as a browser speaks it, by hand: HTTP/1.1 on a socket, binary frames. No library of ours or of
//! the server's is used, so that both cannot be wrong in the same way.

mod stream;

use std::{io, net::SocketAddr};

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub use self::stream::WebStream;

const CONTENT_TYPE: &str = "application/grpc-web+proto";
/// The flag of a frame that holds trailers instead of a message.
const TRAILERS: u8 = 0x80;
/// Answers of tests are small; a server that never ends its answer is an error.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// An HTTP response.
#[derive(Debug)]
pub struct HttpAnswer {
    /// 200, 404, ...
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// With chunks joined.
    pub body: Vec<u8>,
}

/// A grpc-web answer.
#[derive(Debug)]
pub struct WebAnswer<T> {
    /// In order.
    pub messages: Vec<T>,
    /// Trailers, or headers where the server answered with nothing else.
    pub trailers: Vec<(String, String)>,
}

impl HttpAnswer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl<T> WebAnswer<T> {
    /// A trailer's value.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Sends a request on a connection of its own and reads the answer to its end. `head` ends in a line break; a
/// host is added unless it names one.
pub async fn http(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<HttpAnswer> {
    let mut stream = TcpStream::connect(address).await?;
    let host = if head.contains("\r\nhost:") { String::new() } else { format!("host: {address}\r\n") };
    let head = format!("{head}{host}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    parse(&answer).ok_or_else(|| wrong("not an HTTP answer"))
}

/// Calls a method with one message: `/deeper.catalog.v1.CatalogService/ListDatasets`.
pub async fn call<T: Message + Default>(
    address: SocketAddr,
    path: &str,
    request: &impl Message,
) -> io::Result<WebAnswer<T>> {
    call_with_headers(address, path, request, &[]).await
}

/// Sends bytes that need not be a message to a method.
pub async fn call_bytes(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> io::Result<HttpAnswer> {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST {path} HTTP/1.1\r\ncontent-type: {content_type}\r\naccept: {content_type}\r\nx-grpc-web: 1\r\n{more}"
    );
    http(address, &head, body).await
}

/// As [`call`], with more headers.
pub async fn call_with_headers<T: Message + Default>(
    address: SocketAddr,
    path: &str,
    request: &impl Message,
    headers: &[(&str, String)],
) -> io::Result<WebAnswer<T>> {
    let answer = call_bytes(address, path, CONTENT_TYPE, headers, &framed(request)).await?;
    let frames = frames(&answer.body).ok_or_else(|| wrong("a frame is cut"))?;
    let mut web = WebAnswer { messages: Vec::new(), trailers: answer.headers };
    for (flags, payload) in frames {
        if flags & TRAILERS == TRAILERS {
            web.trailers = fields(&String::from_utf8_lossy(payload));
        } else {
            web.messages.push(T::decode(payload)?);
        }
    }
    Ok(web)
}

fn framed(request: &impl Message) -> Vec<u8> {
    let message = request.encode_to_vec();
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    body
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn frames(mut body: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = body.split_first_chunk::<5>() {
        let [flags, length @ ..] = *header;
        let length = u32::from_be_bytes(length) as usize;
        frames.push((flags, rest.get(..length)?));
        body = &rest[length..];
    }
    body.is_empty().then_some(frames)
}

fn parse(answer: &[u8]) -> Option<HttpAnswer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let headers = fields(rest);
    let body = &answer[end + 4..];
    let is_chunked = find(&headers, "transfer-encoding") == Some("chunked");
    let body = if is_chunked { joined(body)? } else { body.to_vec() };
    Some(HttpAnswer { status, headers, body })
}

fn fields(text: &str) -> Vec<(String, String)> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    text.split("\r\n").filter_map(field).collect()
}

/// RFC 9112, §7.1.
fn joined(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(chunks.get(end + 2..end + 2 + size)?);
        chunks = chunks.get(end + 2 + size + 2..)?;
    }
}
