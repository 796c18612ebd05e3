//! Protocol `default` behind the first msgserver's handshake.

use msgserver_handshake::{ClientHandshake, ClientKey, SessionCipher};
use msgserver_protocol::Cipher;

use super::super::stamp::Stamp;
use super::raw::BAR;
use super::{Heard, Line};

/// The longest first message: a key of 4096 bits.
const LONGEST_HELLO: usize = 736;

pub(super) struct Encrypted {
    key: ClientKey,
    proof: Option<String>,
    state: State,
}

enum State {
    /// The server's key is to come.
    Hello,
    /// This client's key is with the server.
    Reply(Option<ClientHandshake>),
    Online(SessionCipher),
}

impl Encrypted {
    pub(super) fn new(key: ClientKey, proof: Option<String>) -> Self {
        Self { key, proof, state: State::Hello }
    }
}

impl Line for Encrypted {
    fn greet(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn take(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<usize, String> {
        match &mut self.state {
            // The server's messages have no end of their own, but it says no more before it is answered.
            State::Hello => match ClientHandshake::answer_with(bytes, self.key.clone()) {
                Ok((handshake, answer)) => {
                    heard.say.extend_from_slice(&answer);
                    self.state = State::Reply(Some(handshake));
                    Ok(bytes.len())
                }
                Err(_) if bytes.len() < LONGEST_HELLO => Ok(0),
                Err(fault) => Err(format!("no handshake: {fault}")),
            },
            State::Reply(handshake) => {
                let length = (self.key.bits() / 8).div_ceil(3) * 4;
                let Some(reply) = bytes.get(..length) else { return Ok(0) };
                let handshake = handshake.take().expect("it is finished once");
                let cipher = handshake.finish(reply).map_err(|fault| format!("no handshake: {fault}"))?;
                if let Some(proof) = &self.proof {
                    cipher.seal(proof.as_bytes(), &mut heard.say);
                    heard.say.push(BAR);
                }
                self.state = State::Online(cipher);
                heard.online = true;
                Ok(length)
            }
            State::Online(cipher) => {
                heard.online = true;
                let mut taken = 0;
                for end in memchr::memchr_iter(BAR, bytes) {
                    let sealed = bytes[taken..end].trim_ascii_start();
                    let sealed = &sealed[sealed.iter().take_while(|&&byte| byte == 0).count()..];
                    let opened =
                        cipher.open(sealed).ok_or("a frame that is not sealed with the agreed key")?;
                    heard.stamps.extend(Stamp::find(&opened).map(|(stamp, _)| (stamp, false)));
                    taken = end + 1;
                }
                Ok(taken)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use msgserver_handshake::{Progress, ServerHandshake, ServerKey};

    use super::*;

    #[test]
    fn a_client_is_online_after_the_handshake_and_opens_what_comes() {
        let key = ServerKey::generate(1024).unwrap();
        let mut server = ServerHandshake::new(&key);
        let mut line = Encrypted::new(ClientKey::generate(1024).unwrap(), Some("ada;S".to_owned()));
        let mut heard = Heard::default();
        assert_eq!(line.take(&key.hello()[..100], &mut heard), Ok(0), "it waits for all of it");
        assert_eq!(line.take(key.hello(), &mut heard), Ok(key.hello().len()));
        let Progress::Done { reply, cipher, .. } = server.feed(&heard.say).unwrap() else {
            panic!("it is whole")
        };
        heard.clear();
        assert_eq!(line.take(&reply, &mut heard), Ok(reply.len()));
        assert!(heard.online);
        assert_eq!(cipher.open(&heard.say[..heard.say.len() - 1]).as_deref(), Some(&b"ada;S"[..]));

        let (mut content, mut sealed) = (Vec::new(), vec![0]);
        Stamp { number: 4, moment: 2 }.write(50, &mut content);
        cipher.seal(&content, &mut sealed);
        sealed.push(BAR);
        assert_eq!(line.take(&sealed, &mut heard), Ok(sealed.len()));
        assert_eq!(heard.stamps, [(Stamp { number: 4, moment: 2 }, false)]);
        assert!(line.take(b"nonsense|", &mut heard).is_err());
    }
}
