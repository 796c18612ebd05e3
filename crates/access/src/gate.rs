//! Everything that is asked of who wants in.

use std::sync::Arc;

use crate::denied::is_over;
use crate::{
    Access, ApiKey, ApiKeys, Denied, Hook, Offer, Revocation, RevocationError, Revocations, Scope, Tokens,
};

/// Everything that is asked of who wants in. One that nothing was given to asks nothing.
#[derive(Debug, Default)]
pub struct Gate {
    tokens: Option<Tokens>,
    hook: Option<Hook>,
    keys: Arc<ApiKeys>,
    revocations: Revocations,
}

impl Gate {
    /// Takes tokens.
    #[must_use]
    pub fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Asks the application about whoever shows no token that can be checked here.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Takes API keys.
    #[must_use]
    pub fn keys(mut self, keys: impl Into<ApiKeys>) -> Self {
        self.keys = Arc::new(keys.into());
        self
    }

    /// Refuses what was revoked.
    #[must_use]
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = revocations;
        self
    }

    /// Whether nothing is asked: no tokens, no hook and no keys.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.asks() && self.keys.is_empty()
    }

    /// Whether users have to show something: a token, or what the application lets in.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.tokens.is_some() || self.hook.is_some()
    }

    /// Whether [`Gate::admit`] is the one to decide about a token, and no shared secret beside it.
    #[must_use]
    pub fn decides(&self, token: &str) -> bool {
        self.tokens.is_some() && Tokens::is_token(token)
    }

    /// Whether the application is asked about what nobody else lets in.
    #[must_use]
    pub fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// The API key that a text is.
    #[must_use]
    pub fn key(&self, secret: &str) -> Option<Arc<ApiKey>> {
        self.keys.find(secret)
    }

    /// Whether an API key is for that.
    #[must_use]
    pub fn key_may(&self, secret: &str, scope: Scope) -> bool {
        self.key(secret).is_some_and(|key| key.may(scope))
    }

    /// Who somebody is and what they may do. A token that can be checked here is; about everything else, and also
    /// about who shows nothing, the application is asked, if there is a hook.
    ///
    /// # Errors
    /// [`Denied`] says why they are not let in.
    pub async fn admit(&self, offer: &Offer<'_>) -> Result<Access, Denied> {
        let checked = match (&self.tokens, offer.token) {
            (Some(tokens), Some(token)) if self.hook.is_none() || Tokens::is_token(token) => {
                tokens.check(token).await
            }
            _ => match &self.hook {
                Some(hook) => hook.ask(offer).await,
                None => Err(Denied::NoToken),
            },
        };
        let access = checked?;
        if is_over(access.expires_at) {
            return Err(Denied::Expired);
        }
        if self.has_revoked(&access) {
            return Err(Denied::Revoked);
        }
        match (&access.user, offer.user) {
            (Some(token), Some(said)) if token != said => {
                return Err(Denied::OtherUser { token: token.clone(), said: said.clone() });
            }
            (None, Some(said)) => return Err(Denied::NoUser(said.clone())),
            _ => {}
        }
        match (&access.device, offer.device) {
            (Some(token), Some(said)) if token != said => {
                Err(Denied::OtherDevice { token: token.clone(), said: said.clone() })
            }
            _ => Ok(access),
        }
    }

    /// Whether access was taken back, or its time is over.
    #[must_use]
    pub fn has_ended(&self, access: &Access) -> bool {
        is_over(access.expires_at) || self.has_revoked(access)
    }

    /// Whether access was taken back.
    #[must_use]
    pub fn has_revoked(&self, access: &Access) -> bool {
        self.revocations.cover(access)
    }

    /// Takes tokens back; waits for the disk. What they have opened already is the caller's to close.
    ///
    /// # Errors
    /// As [`Revocations::add`].
    pub fn revoke(&self, revocation: Revocation) -> Result<(), RevocationError> {
        let outcome = self.revocations.add(revocation);
        if let Some(hook) = &self.hook {
            hook.forget();
        }
        outcome
    }

    /// The keys of tokens and those of a file are kept fresh, for as long as the gate lives.
    pub fn start(&self) {
        tokio::spawn(Arc::clone(&self.keys).keep());
        if let Some(tokens) = &self.tokens {
            tokio::spawn(Arc::clone(tokens.keys()).keep());
        }
    }
}
