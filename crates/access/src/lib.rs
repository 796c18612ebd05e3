//! Who may connect, follow, publish and operate.
//!
//! A [`Gate`] takes what somebody has said ([`Offer`]) and gives what they may do ([`Access`]), or why they are not
//! let in ([`Denied`]). Behind it are
//!
//! * [`Tokens`]: JWTs, checked with the keys of a [`KeyRing`], which come from files and JWKS addresses and change
//!   while everything runs;
//! * a [`Hook`], which asks the application;
//! * [`ApiKey`]s of programs, of which only hashes are known;
//! * [`Revocations`]: what was taken back before its time.
//!
//! The design decision that matters: a key is for one algorithm, which follows from its kind, and what a token says
//! of itself only has to agree. So `none`, and a public key that is taken for a secret, are no cases to be thought of.
//!
//! Nothing here knows sockets or sessions. Whoever uses it closes what was opened, when [`Access::expires_at`] is
//! over and when [`Gate::revoke`] has taken something back.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::sync::Arc;
//!
//! use msgserver_access::{Claims, Gate, Key, KeyRing, KeySource, Offer, TokenRules, Tokens};
//! use msgserver_message::{Target, Timestamp, UserId};
//!
//! let key = Key::secret(b"a secret of thirty-two bytes or more")?;
//! let token = key.sign(&Claims {
//!     sub: Some(UserId::new("ada")?),
//!     publish: vec!["to/bob".parse()?],
//!     exp: Some(Timestamp::now().saturating_add(std::time::Duration::from_secs(3600))),
//!     ..Claims::default()
//! })?;
//!
//! let keys = Arc::new(KeyRing::open(vec![KeySource::Fixed(vec![key])])?);
//! let gate = Gate::default().tokens(Tokens::new(keys, TokenRules::default()));
//! let offer = Offer { user: None, device: None, token: Some(&token), peer: None, door: "frame" };
//! let access = gate.admit(&offer).await?;
//! assert_eq!(access.user, Some(UserId::new("ada")?));
//! assert!(access.may_publish(&Target::User(UserId::new("bob")?)) && !access.may_publish(&Target::All));
//! assert!(gate.admit(&Offer { token: Some("a.b.c"), ..offer }).await.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod algorithm;
mod api_key;
mod api_keys;
mod claims;
mod denied;
mod gate;
mod hook;
mod kept;
mod key;
mod key_error;
mod key_ring;
mod key_text;
mod offer;
mod pattern;
mod private_jwk;
mod remote;
mod revocation;
mod revocations;
mod right;
mod tokens;

pub use access::Access;
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use api_key::{ApiKey, InvalidApiKey, Scope};
pub use api_keys::ApiKeys;
pub use claims::{Audience, Claims};
pub use denied::Denied;
pub use gate::Gate;
pub use hook::Hook;
pub use key::{Key, MIN_RSA_BITS, MIN_SECRET_BYTES};
pub use key_error::KeyError;
pub use key_ring::{KeyRing, KeySource};
pub use offer::Offer;
pub use pattern::{InvalidPattern, TopicPattern};
pub use remote::Address;
pub use revocation::{InvalidRevocation, MAX_JTI_BYTES, Revocation};
pub use revocations::{RevocationError, Revocations};
pub use right::{InvalidRight, PublishRight};
pub use tokens::{TokenRules, Tokens};
