//! The PROXY protocol, by which a proxy says for whom it speaks: versions 1 and 2, as HAProxy has specified them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::OpeningError;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The shortest header of version 1, and one byte less than that of version 2: more may not be read before it is known
/// which one it is.
const SHORTEST: usize = b"PROXY UNKNOWN\r\n".len();

/// The longest header of version 1.
const LONGEST: usize = 107;

/// Why what a proxy says of itself is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyFault {
    /// It is none of the proxies from which connections come.
    #[error("{0} is none of the trusted proxies, and this door is for them alone")]
    Stranger(IpAddr),
    /// It does not begin as it has to.
    #[error("the connection does not begin with a header of the PROXY protocol")]
    Missing,
    /// It is a header of another version.
    #[error("{0:#04x} is no version and command of the PROXY protocol that is known here")]
    Unknown(u8),
    /// It has begun well and goes on wrongly.
    #[error("the header of the PROXY protocol is malformed")]
    Malformed,
}

/// Reads the header and nothing beyond it. Gives nothing if the proxy speaks for itself, or for somebody who has no
/// address of the internet.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, OpeningError> {
    let mut start = [0; SHORTEST];
    socket.read_exact(&mut start).await?;
    if start.starts_with(SIGNATURE) {
        let length = u16::from_be_bytes([start[14], socket.read_u8().await?]);
        let mut addresses = vec![0; length.into()];
        socket.read_exact(&mut addresses).await?;
        return Ok(version_2(start[12], start[13], &addresses)?);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyFault::Missing.into());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST {
            return Err(ProxyFault::Malformed.into());
        }
        // The end is not known before it is there.
        line.push(socket.read_u8().await?);
    }
    Ok(version_1(&line)?)
}

/// `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443` and the end of the line.
fn version_1(line: &[u8]) -> Result<Option<SocketAddr>, ProxyFault> {
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.ok_or(ProxyFault::Malformed)?.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let mut next = || words.next().ok_or(ProxyFault::Malformed);
    let (source, target, source_port, target_port) = (next()?, next()?, next()?, next()?);
    let address = |text: &str| -> Result<IpAddr, ProxyFault> {
        let address: IpAddr = text.parse().map_err(|_| ProxyFault::Malformed)?;
        let fits = matches!((family, address), (Some("TCP4"), IpAddr::V4(_)) | (Some("TCP6"), IpAddr::V6(_)));
        fits.then_some(address).ok_or(ProxyFault::Malformed)
    };
    let port = |text: &str| text.parse::<u16>().map_err(|_| ProxyFault::Malformed);
    let (source, _) =
        (SocketAddr::new(address(source)?, port(source_port)?), (address(target)?, port(target_port)?));
    if words.next().is_some() { Err(ProxyFault::Malformed) } else { Ok(Some(source)) }
}

/// The bytes behind the signature: version and command, family and transport, addresses and what else a proxy adds.
fn version_2(command: u8, family: u8, addresses: &[u8]) -> Result<Option<SocketAddr>, ProxyFault> {
    match command {
        // The proxy's own connection, such as one that asks whether the server is well.
        0x20 => return Ok(None),
        0x21 => {}
        other => return Err(ProxyFault::Unknown(other)),
    }
    let port = |at: usize| -> Result<u16, ProxyFault> {
        let bytes = addresses.get(at..at + 2).ok_or(ProxyFault::Malformed)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    match family >> 4 {
        1 => {
            let source: [u8; 4] = *addresses.first_chunk().ok_or(ProxyFault::Malformed)?;
            // Behind the two addresses.
            let source = SocketAddr::from((Ipv4Addr::from(source), port(8)?));
            if addresses.len() < 12 { Err(ProxyFault::Malformed) } else { Ok(Some(source)) }
        }
        2 => {
            let source: [u8; 16] = *addresses.first_chunk().ok_or(ProxyFault::Malformed)?;
            let source = SocketAddr::from((Ipv6Addr::from(source), port(32)?));
            if addresses.len() < 36 { Err(ProxyFault::Malformed) } else { Ok(Some(source)) }
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of `bytes`, and how many of them are left.
    fn reads(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let address = runtime.block_on(read(&mut rest)).map_err(|fault| fault.to_string())?;
        Ok((address.map(|address| address.to_string()), rest.len()))
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, addresses, b"rest"].concat()
    }

    #[test]
    fn both_versions_say_for_whom_and_leave_the_rest_alone() {
        let four = [192, 0, 2, 7, 192, 0, 2, 1, 0xdc, 0x04, 1, 187];
        let six = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 16], &[0, 80, 0, 81]].concat();
        let with_more = [&four[..], &[3, 0, 1, 9]].concat();
        for (bytes, address) in [
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nrest".to_vec(), Some("192.0.2.7:56324")),
            (b"PROXY TCP6 ::1 ::2 80 81\r\nrest".to_vec(), Some("[::1]:80")),
            (b"PROXY UNKNOWN\r\nrest".to_vec(), None),
            (b"PROXY UNKNOWN ffff:: ::1 1 2\r\nrest".to_vec(), None),
            (v2(0x21, 0x11, &four), Some("192.0.2.7:56324")),
            (v2(0x21, 0x11, &with_more), Some("192.0.2.7:56324")),
            (v2(0x21, 0x21, &six), Some("[::1]:80")),
            (v2(0x20, 0, &[]), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            assert_eq!(reads(&bytes), Ok((address.map(str::to_owned), 4)), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 70000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
        ] {
            assert!(reads(&bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(
            prefix in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = reads(&[prefix, &bytes].concat());
        }
    }
}
