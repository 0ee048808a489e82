//! Landing: where the answer of a flight goes in the table, and what is left of the flight's own object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::Core;
use super::headers::is_rewritten;
use super::lookup::write_variant;
use crate::cache::account::footprint;
use crate::cache::answer::{Answer, AnswerHead, Body, Terms, VaryValues};
use crate::cache::fields::{FieldRules, StoredFields, private_lines};
use crate::cache::fill::{Ending, Writer};
use crate::cache::front::Kept;
use crate::cache::key::{self, KeyHash};
use crate::cache::ledger::tag_mark;
use crate::cache::life::State;
use crate::cache::object::{Content, OBJECT_BYTES, Object, Origin};
use crate::cache::policy::{CachePolicy, SetCookie};
use crate::cache::store::Standing;
use crate::cache::vary::{self, Vary};
use crate::cache::{freshen, storable, tags};
use crate::http::{RequestHead, ResponseHead, Version};
use crate::stats::NotStored;

/// A flight's object and its places.
pub struct Landing {
    pub object: Arc<Object>,
    /// Where the object stands while it is filling.
    pub place: KeyHash,
    /// Where an answer under the object's key stands.
    pub home: KeyHash,
    /// Bytes of the object's key without the choice among variants.
    pub primary: usize,
    /// The fields that the key's variants were chosen by.
    pub names: Option<Box<[Box<str>]>>,
}

impl Landing {
    /// The flight is over: what is not complete by now does not stay in the table.
    pub fn leave(&self, core: &Core) {
        if self.object.life.state() != State::Complete {
            core.cache.remove(self.place, &self.object);
        }
    }

    /// Nobody new follows this flight; what is stored stays.
    pub fn withdraw(&self, core: &Core) {
        core.cache.remove(self.place, &self.object);
    }

    /// Requests for this key go side by side for a while; nobody new follows this flight, and what was stored is gone.
    pub fn mark(&self, core: &Core, for_ms: u64) {
        // A flight that a purge has overtaken says nothing about what has come since.
        if self.object.life.state() == State::Dead || core.cache.standing(&self.object, &[]) == Standing::Purged {
            return self.withdraw(core);
        }
        let until_ms = crate::base::clock::unix_ms() + for_ms;
        if self.place != self.home {
            core.cache.remove(self.place, &self.object);
        }
        match self.complete(core, self.object.key.clone(), Content::HitForMiss { until_ms }) {
            Some(mark) => self.put(core, self.home, &mark),
            // No room for a mark either: the next requests find nothing and fly.
            None => drop(core.cache.remove(self.place, &self.object)),
        }
    }

    fn put(&self, core: &Core, place: KeyHash, object: &Arc<Object>) {
        core.cache.replace(place, object);
        core.cache.admit(place, object);
    }

    fn complete(&self, core: &Core, key: Box<[u8]>, content: Content) -> Option<Arc<Object>> {
        let charge = core.cache.charge(OBJECT_BYTES + footprint(key.len()))?;
        let Object { method, birth, url, .. } = *self.object;
        Some(Object::complete(Origin { key, method, birth, url }, content, charge))
    }

    /// Stores a whole answer.
    ///
    /// # Errors
    /// Why it is not stored after all.
    pub fn store(
        &self,
        core: &Core,
        request: &RequestHead,
        head: Arc<AnswerHead>,
        body: Arc<Body>,
    ) -> Result<(), NotStored> {
        let purged = core.cache.standing(&self.object, &head.tags) == Standing::Purged;
        if purged || self.object.life.state() == State::Dead {
            return Err(NotStored::Purged);
        }
        let names = self.names_for(head.vary.as_deref());
        let charge = core.cache.charge(head_bytes(&head)).ok_or(NotStored::NoRoom)?;
        let content = Content::Answer(Answer { head, body, charge });
        match names {
            Some(names) => self.store_variant(core, request, names, content),
            None if self.place == self.home => {
                if !self.object.settle(content) {
                    return Err(NotStored::Purged);
                }
                core.cache.admit(self.place, &self.object);
                Ok(())
            }
            None => {
                let answer = self.complete(core, self.object.key.clone(), content).ok_or(NotStored::NoRoom)?;
                self.put(core, self.home, &answer);
                Ok(())
            }
        }
    }

    /// The fields that choose among variants from now on, where they are others than the key was made with.
    fn names_for(&self, vary: Option<&VaryValues>) -> Option<Vec<Box<str>>> {
        let vary = vary?;
        match &self.names {
            Some(names) if vary.names.iter().all(|name| names.contains(name)) => None,
            Some(names) => Some(vary::union(names, &vary.names)),
            None => Some(vary.names.to_vec()),
        }
    }

    fn store_variant(
        &self,
        core: &Core,
        request: &RequestHead,
        names: Vec<Box<str>>,
        content: Content,
    ) -> Result<(), NotStored> {
        let primary: Box<[u8]> = self.object.key.get(..self.primary).unwrap_or_default().into();
        let mut variant = primary.to_vec();
        write_variant(&mut variant, &names, request);
        let hash_of = |key: &[u8]| key::hash(core.cache.salt(), key, &[]);
        let (primary_hash, variant_hash) = (hash_of(&primary), hash_of(&variant));
        let answer = self.complete(core, variant.into(), content).ok_or(NotStored::NoRoom)?;
        let variants = self.complete(core, primary, Content::Variants(names.into())).ok_or(NotStored::NoRoom)?;
        self.put(core, variant_hash, &answer);
        self.put(core, primary_hash, &variants);
        Ok(())
    }

    /// The upstream has confirmed what is stored: the same body under a new head (RFC 9111 §4.3.4). Says how the flight
    /// ends, and why the answer is stored no longer where that is so.
    pub fn confirm(&self, renewal: &Renewal<'_>, stale: &Kept, writer: &Writer) -> (Ending, Option<NotStored>) {
        let core = renewal.core;
        let Content::Answer(stored) = &*stale.content else { return (Ending::Again, None) };
        if !freshen::confirms(&stored.head, renewal.response) {
            core.cache.remove(self.home, &stale.object);
            return (Ending::Again, Some(NotStored::UpstreamFailed));
        }
        match self.put_confirmed(renewal, stale, stored) {
            Ok(()) => (Ending::Confirmed, None),
            Err(reason) => {
                core.cache.remove(self.home, &stale.object);
                if let Ok(head) = renewal.head(&stored.head, stored.body.length(), |_| Ok(Terms::default())) {
                    writer.leave_head(Arc::new(head));
                }
                let ending = match reason {
                    NotStored::Purged => Ending::Again,
                    // It said for whom it is: what it is for the others is not known.
                    NotStored::Private | NotStored::VaryStar | NotStored::Authorization => {
                        Ending::ConfirmedOnce { alone: true }
                    }
                    _ => Ending::ConfirmedOnce { alone: false },
                };
                (ending, Some(reason))
            }
        }
    }

    fn put_confirmed(&self, renewal: &Renewal<'_>, stale: &Kept, stored: &Answer) -> Result<(), NotStored> {
        let core = renewal.core;
        let head = renewal.head(&stored.head, stored.body.length(), |fields| renewal.terms(&stored.head, fields))?;
        let is_purged = |tags: &[u64]| core.cache.standing(&self.object, tags) == Standing::Purged;
        if is_purged(&head.tags) || is_purged(&stored.head.tags) {
            return Err(NotStored::Purged);
        }
        let charge = core.cache.charge(head_bytes(&head)).ok_or(NotStored::NoRoom)?;
        stored.body.keep();
        let content = Content::Answer(Answer { head: Arc::new(head), body: Arc::clone(&stored.body), charge });
        let answer = self.complete(core, stale.object.key.clone(), content).ok_or(NotStored::NoRoom)?;
        answer.uses.store(stale.object.uses.load(Ordering::Relaxed), Ordering::Relaxed);
        self.put(core, self.home, &answer);
        Ok(())
    }
}

/// A confirmation and what it is judged by.
pub struct Renewal<'a> {
    pub core: &'a Core,
    pub policy: &'a CachePolicy,
    pub request: &'a RequestHead,
    pub response: &'a ResponseHead,
    /// When the request was sent and when the response head came.
    pub times: (u64, u64),
}

impl Renewal<'_> {
    /// The terms that follow from the fields brought up to date.
    fn terms(&self, stored: &AnswerHead, fields: &StoredFields) -> Result<Terms, NotStored> {
        let (request_ms, response_ms) = self.times;
        let random = self.core.random.next_u64();
        let exchange =
            storable::Exchange { request: self.request, response: self.response, request_ms, response_ms, random };
        let terms = storable::confirmed_terms(&exchange, stored.status, fields, self.policy)?;
        // Other fields choose from now on: what is stored stands under the former choice.
        let names = stored.vary.as_deref().map(|vary| &*vary.names).unwrap_or_default();
        match Vary::of(self.response) {
            Vary::Nothing => Ok(terms),
            Vary::Names(now) if *now == *names => Ok(terms),
            Vary::Names(_) | Vary::Star => Err(NotStored::VaryStar),
        }
    }

    /// A stored head with the fields of the confirmation in place.
    fn head(
        &self,
        stored: &AnswerHead,
        length: u64,
        terms: impl Fn(&StoredFields) -> Result<Terms, NotStored>,
    ) -> Result<AnswerHead, NotStored> {
        let (response, response_ms) = (self.response, self.times.1);
        let without = storable::unstored_fields(response, self.policy);
        let strip_cookies = self.policy.set_cookie == SetCookie::Strip;
        let rules = FieldRules { response_ms, strip_cookies, without: &without };
        let fields = freshen::freshened(&stored.fields, response, &rules)?;
        let terms = Terms { response_ms, ..terms(&fields)? };
        let said = tags::tags(response);
        let tags = if said.is_empty() { stored.tags.clone() } else { said.into_iter().map(tag_mark).collect() };
        Ok(AnswerHead {
            status: stored.status,
            version: stored.version,
            reason: stored.reason.clone(),
            fields,
            terms,
            vary: stored.vary.clone(),
            tags,
            length: Some(length),
        })
    }
}

/// The head of an answer as it will be stored, and the lines that only who asked for it gets.
///
/// # Errors
/// Why it cannot be.
pub fn answer_head(
    request: &RequestHead,
    response: &ResponseHead,
    policy: &CachePolicy,
    terms: Terms,
    length: Option<u64>,
) -> Result<(AnswerHead, Vec<u8>), NotStored> {
    let without = storable::unstored_fields(response, policy);
    let rules = FieldRules {
        response_ms: terms.response_ms,
        strip_cookies: policy.set_cookie == SetCookie::Strip,
        without: &without,
    };
    let fields = StoredFields::of_response(response, &rules)?;
    let private = private_lines(response, &rules);
    let vary = match Vary::of(response) {
        Vary::Nothing => None,
        Vary::Star => return Err(NotStored::VaryStar),
        // What the upstream saw under this name is not what this client sent, and another client's cannot be compared.
        Vary::Names(names) if names.iter().any(|name| is_rewritten(name.as_bytes())) => {
            return Err(NotStored::VaryStar);
        }
        Vary::Names(names) => {
            let values = vary::values(&names, request);
            Some(Box::new(VaryValues { names: names.into(), values }))
        }
    };
    let head = AnswerHead {
        // A part that is the whole is stored as what it is.
        status: if response.status == 206 { 200 } else { response.status },
        version: if response.version == Version::Http10 { Version::Http10 } else { Version::Http11 },
        reason: response.reason().into(),
        fields,
        terms,
        vary,
        tags: tags::tags(response).into_iter().map(tag_mark).collect(),
        length,
    };
    Ok((head, private))
}

/// What a stored head takes, with the object's content around it.
fn head_bytes(head: &AnswerHead) -> u64 {
    let vary = head.vary.as_ref().map_or(0, |v| footprint(v.values.len() + 32 * v.names.len() + 48));
    let parts = size_of::<Content>() + size_of::<AnswerHead>() + 32 + size_of::<Body>() + 16;
    footprint(head.fields.lines().len())
        + footprint(head.reason.len())
        + vary
        + 8 * head.tags.len() as u64
        + parts as u64
}
