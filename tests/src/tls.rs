//! TLS records as cases need them: of the right shape, and with nothing secret in them.

/// `hello NAME` (a ClientHello with that server name), `server-hello`, `data N` (an application data record).
pub fn bytes(kind: &str, argument: Option<&str>) -> Result<Vec<u8>, String> {
    match kind {
        "hello" => Ok(client_hello(argument)),
        "server-hello" => Ok(server_hello()),
        "data" => {
            let len: usize = argument.unwrap_or("64").parse().map_err(|e| format!("{e}"))?;
            let noise = (0..len)
                .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
                .collect::<Vec<_>>();
            Ok(record(23, 0x0303, &noise))
        }
        _ => Err("~tls wants hello, server-hello or data".into()),
    }
}

/// RFC 8446 section 5.1.
fn record(kind: u8, version: u16, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&(content.len() as u16).to_be_bytes());
    out.extend_from_slice(content);
    out
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(body);
    record(22, 0x0301, &out)
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// RFC 8446 section 4.1.2.
fn client_hello(name: Option<&str>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend((0..32).map(|i| 0xa0 ^ i));
    body.push(0);
    body.extend_from_slice(&[0, 6, 0x13, 0x01, 0x13, 0x02, 0xc0, 0x2f, 1, 0]);
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let len = name.len() as u16;
        let mut entry = (len + 3).to_be_bytes().to_vec();
        entry.push(0);
        entry.extend_from_slice(&len.to_be_bytes());
        entry.extend_from_slice(name.as_bytes());
        extensions.extend(extension(0, &entry));
    }
    extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
    extensions.extend(extension(10, &[0, 4, 0, 29, 0, 23]));
    extensions.extend(extension(13, &[0, 4, 4, 3, 8, 4]));
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    handshake(1, &body)
}

/// RFC 8446 section 4.1.3.
fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend((0..32).map(|i| 0x50 ^ i));
    body.extend_from_slice(&[0, 0x13, 0x01, 0]);
    let extensions = extension(43, &[3, 4]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    handshake(2, &body)
}
