//! Look up: the key of a request, and what the cache has under it at this moment. Nothing here waits or fetches.

use std::rc::Rc;
use std::sync::Arc;

use super::core::Core;
use super::exchange::Client;
use super::headers::names_fields;
use crate::base::clock;
use crate::cache::directives::RequestControl;
use crate::cache::front::Kept;
use crate::cache::key::{self, KeyHash, KeyRequest};
use crate::cache::life::State;
use crate::cache::object::{Content, Object};
use crate::cache::policy::{BodyKey, CachePolicy};
use crate::cache::store::Standing;
use crate::cache::{AnswerHead, answer, query, vary};
use crate::h1;
use crate::http::{FieldId, Method, RequestHead};
use crate::stats::Pass;

/// What stands under a key.
pub enum Seen {
    /// An answer, whether it is fresh or not.
    Answer(Rc<Kept>),
    /// An answer on its way.
    Filling(Arc<Object>),
    /// The last answer could not be stored.
    HitForMiss,
    Nothing,
}

/// One request's view of the cache.
pub struct Looking {
    pub control: RequestControl,
    pub now_ms: u64,
    key: Vec<u8>,
    /// Bytes of the key without the fields that choose among variants.
    primary: usize,
    chosen: Option<Chosen>,
}

/// Who says which fields chose the variant.
enum Chosen {
    Kept(Rc<Kept>),
    Arriving(Arc<AnswerHead>),
}

/// Why a request has nothing to do with the cache; `None` = it has.
pub fn refusal(client: &Client<'_>, policy: &CachePolicy, control: &RequestControl) -> Option<Pass> {
    let head = client.head;
    let keyed_body = policy.key.body != BodyKey::None;
    match head.method {
        Method::Get | Method::Head if !client.framing.body.is_empty() => return Some(Pass::RequestBody),
        Method::Get | Method::Head => {}
        Method::Post if policy.post && keyed_body => {}
        _ => return Some(Pass::MethodUnsafe),
    }
    if client.framing.upgrade {
        return Some(Pass::Upgrade);
    }
    if control.no_store {
        return Some(Pass::RequestNoStore);
    }
    // The upstream would not see what the key and Vary are made of: one such request could poison the others' answer.
    if head.fields().any(|f| f.id == FieldId::Connection && names_fields(f.value)) {
        return Some(Pass::ConnectionFields);
    }
    is_bypassed(head, policy).then_some(Pass::Bypassed)
}

fn is_bypassed(head: &RequestHead, policy: &CachePolicy) -> bool {
    let named = |names: &[Box<str>], name: &[u8]| names.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name));
    let by_field = !policy.bypass_headers.is_empty() && head.fields().any(|f| named(&policy.bypass_headers, f.name));
    by_field
        || (!policy.bypass_query.is_empty()
            && h1::target_parts(head).query.is_some_and(|query| query::has_any(query, &policy.bypass_query)))
}

impl Looking {
    /// Makes the key of a request whose body, where it is part of the key, is `body`.
    pub fn begin(
        core: &Core,
        client: &Client<'_>,
        trusted: bool,
        policy: &CachePolicy,
        control: RequestControl,
        body: &[u8],
    ) -> Self {
        let mut key = core.take_key();
        let (scheme, salt) = (client.peer.scheme(), core.cache.salt());
        let request = KeyRequest { head: client.head, scheme, trusted, body, salt };
        key::write(&mut key, policy, &request);
        let primary = key.len();
        Self { control, now_ms: clock::unix_ms(), key, primary, chosen: None }
    }

    /// Gives the key's buffer back.
    pub fn end(self, core: &Core) {
        core.give_key(self.key);
    }

    /// The key: of the variant, where there are variants.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Bytes of the key without the choice among variants.
    pub fn primary_bytes(&self) -> usize {
        self.primary
    }

    /// The fields that chose among variants.
    pub fn names(&self) -> Option<&[Box<str>]> {
        match self.chosen.as_ref()? {
            Chosen::Kept(kept) => match &*kept.content {
                Content::Variants(names) => Some(names),
                _ => None,
            },
            Chosen::Arriving(head) => head.vary.as_deref().map(|vary| &*vary.names),
        }
    }

    /// Where the key stands in the table.
    pub fn hash(&self, core: &Core) -> KeyHash {
        key::hash(core.cache.salt(), &self.key, &[])
    }

    /// What stands under the key.
    pub fn look(&mut self, core: &Core, head: &RequestHead) -> Seen {
        self.key.truncate(self.primary);
        self.chosen = None;
        loop {
            let kept = match self.in_front(core) {
                Some(kept) => kept,
                None => match self.in_table(core) {
                    Ok(kept) => kept,
                    Err(Seen::Filling(object)) => match self.other_variant(&object, head) {
                        true => continue,
                        false => return Seen::Filling(object),
                    },
                    Err(seen) => return seen,
                },
            };
            match &*kept.content {
                Content::Answer(_) => return Seen::Answer(kept),
                Content::HitForMiss { until_ms } if *until_ms > self.now_ms => return Seen::HitForMiss,
                Content::Variants(_) if self.choose(Chosen::Kept(Rc::clone(&kept)), head) => {}
                // A mark that is over, or variants of a variant.
                _ => {
                    core.front.forget(&self.key);
                    core.cache.remove(self.hash(core), &kept.object);
                    return Seen::Nothing;
                }
            }
        }
    }

    /// Takes out what stands under the key, whatever it is.
    pub fn forget(&self, core: &Core) {
        core.front.forget(&self.key);
        let hash = self.hash(core);
        if let Some(object) = core.cache.find(hash, &self.key) {
            core.cache.remove(hash, &object);
        }
    }

    fn in_front(&self, core: &Core) -> Option<Rc<Kept>> {
        let kept = core.front.find(&self.key)?;
        let sequence = core.cache.sequence();
        if kept.checked.get() != sequence {
            match core.cache.standing(&kept.object, tags(&kept.content)) {
                Standing::Good => kept.checked.set(sequence),
                // The table says what becomes of it.
                Standing::Soft | Standing::Purged => {
                    core.front.forget(&self.key);
                    return None;
                }
            }
        }
        Some(kept)
    }

    fn in_table(&self, core: &Core) -> Result<Rc<Kept>, Seen> {
        // Before the look: a purge behind it is seen the next time.
        let sequence = core.cache.sequence();
        let object = core.cache.find(self.hash(core), &self.key).ok_or(Seen::Nothing)?;
        match object.content() {
            Some(content) if object.life.state() == State::Complete => {
                let kept = Kept::new(object, content, sequence);
                if kept.object.life.is_usable() {
                    core.front.keep(&self.key, &kept);
                }
                Ok(kept)
            }
            _ if object.life.state() == State::Filling => Err(Seen::Filling(object)),
            _ => Err(Seen::Nothing),
        }
    }

    /// Whether the answer on its way is known to be chosen by fields in which this request differs: then the key is
    /// that of its own variant from here on.
    fn other_variant(&mut self, object: &Object, head: &RequestHead) -> bool {
        let Some(fill) = object.fill() else { return false };
        match fill.head() {
            Some(arriving) if arriving.vary.as_deref().is_some_and(|values| !vary::matches(values, head)) => {
                self.choose(Chosen::Arriving(Arc::clone(arriving)), head)
            }
            _ => false,
        }
    }

    /// Adds the values of the fields that choose, once.
    fn choose(&mut self, chosen: Chosen, head: &RequestHead) -> bool {
        if self.chosen.is_some() {
            return false;
        }
        self.chosen = Some(chosen);
        let mut key = std::mem::take(&mut self.key);
        write_variant(&mut key, self.names().unwrap_or_default(), head);
        self.key = key;
        true
    }
}

/// Appends the part of a key that tells variants apart.
pub fn write_variant(out: &mut Vec<u8>, names: &[Box<str>], head: &RequestHead) {
    out.push(key::VARIANT_TAG);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    vary::write_values(out, names, head);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(at..at + 4) {
        prefix.copy_from_slice(&length.to_le_bytes());
    }
}

fn tags(content: &Content) -> &[u64] {
    match content {
        Content::Answer(answer::Answer { head, .. }) => &head.tags,
        _ => &[],
    }
}
