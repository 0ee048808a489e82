//! Obtain: an answer from the cache, by waiting for one that is on its way, or by sending a flight for it. Past the
//! cache only for a reason with a name.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::core::{Core, CoreService};
use super::exchange::{CacheNote, Client, Exchange};
use super::failure::Failure;
use super::fetch::Answered;
use super::flight::{Flight, Handed, Handoff, Request, take_off};
use super::landing::Landing;
use super::lookup::{Looking, Seen, refusal};
use super::route::Route;
use super::screen::overload::{self, Lateness};
use super::upload::Upload;
use crate::base::clock;
use crate::cache::account::footprint;
use crate::cache::answer::{Answer, AnswerHead};
use crate::cache::cache_status::{Fwd, Status};
use crate::cache::directives::RequestControl;
use crate::cache::fill::{Ending, Fill, Follower, Step};
use crate::cache::front::Kept;
use crate::cache::judge::{Use, forward_reason, judge, stale_on_error};
use crate::cache::key::{self, KeyHash};
use crate::cache::ledger::url_mark;
use crate::cache::object::{Content, OBJECT_BYTES, Object, Origin};
use crate::cache::policy::CachePolicy;
use crate::cache::range;
use crate::cache::store::Standing;
use crate::http::{FieldId, Method};
use crate::net::{ReadError, Until, Wait};
use crate::stats::{CacheOutcome, NotStored, Pass, Reason};

/// What a request gets from the cache.
pub enum Obtained<'a> {
    /// Nothing: it is fetched past the cache.
    Pass,
    /// A stored answer.
    Hit(Rc<Kept>),
    /// An answer on its way.
    Follow(Followed),
    /// The answer of its own flight, which nobody else may have.
    Alone(Box<Answered<'a>>),
    Failed(Failure),
}

/// An answer on its way, its head there.
pub struct Followed {
    pub follower: Follower,
    pub head: Arc<AnswerHead>,
    /// It is the answer of this request's own flight.
    pub leads: bool,
    /// Field lines for this client alone.
    pub private: Vec<u8>,
}

/// How often a request may look again: after a release, a confirmation, a failed flight, a race with another.
const ROUNDS: usize = 8;
/// Time between two refreshes of one answer, milliseconds.
const REFRESH_REST_MS: u64 = 1_000;
/// Failed flights of others that one waiter sees before it fails too.
const FAILURES_MAX: usize = 2;

struct Search<'s, 'a> {
    core: &'a Rc<Core>,
    service: &'a Rc<CoreService>,
    route: &'a Arc<Route>,
    policy: &'a Arc<CachePolicy>,
    looking: &'s mut Looking,
    /// What the key has, where it cannot be used without asking.
    stale: Option<Rc<Kept>>,
    /// Why the upstream is asked.
    why: Fwd,
    /// The upstream has confirmed what is stored, for this request.
    confirmed: Option<CacheOutcome>,
    failures: usize,
    /// The key was asked for often enough for its answer to be stored.
    wanted: bool,
    /// The head of a confirmation that was not stored.
    confirmed_head: Option<Arc<AnswerHead>>,
}

/// Looks the request up, and waits where waiting is worth it.
pub async fn obtain<'a>(
    core: &'a Rc<Core>,
    service: &'a Rc<CoreService>,
    route: &'a Arc<Route>,
    policy: &'a Arc<CachePolicy>,
    client: &mut Client<'a>,
    exchange: &mut Exchange<'a>,
) -> Obtained<'a> {
    let control = RequestControl::of(client.head, policy.ignore_client_no_cache.is_some());
    if let Some(reason) = refusal(client, policy, &control) {
        if control.only_if_cached && reason != Pass::MethodUnsafe {
            return only_if_cached(exchange);
        }
        return pass(core, policy, exchange, reason);
    }
    if !client.framing.body.is_empty() {
        match Box::pin(super::gather::gather(core, policy.key.body_bytes_max, route.body_bytes_max, client)).await {
            Ok(true) => {}
            Ok(false) => return pass(core, policy, exchange, Pass::BodyTooLarge),
            Err(failure) => return Obtained::Failed(failure),
        }
    }
    let body = client.body.as_ref().map(|b| &*b.read).unwrap_or_default();
    let mut looking = Looking::begin(core, client, exchange.trusted, policy, control, body);
    let mut search = Search {
        core,
        service,
        route,
        policy,
        looking: &mut looking,
        stale: None,
        why: Fwd::UriMiss,
        confirmed: None,
        failures: 0,
        wanted: true,
        confirmed_head: None,
    };
    let obtained = search.run(client, exchange).await;
    looking.end(core);
    obtained
}

/// Past the cache, and why.
fn pass<'a>(core: &Core, policy: &CachePolicy, exchange: &mut Exchange<'_>, reason: Pass) -> Obtained<'a> {
    policy.counters.pass(core.index, reason);
    let why = match reason {
        Pass::MethodUnsafe => Fwd::Method,
        Pass::RequestNoStore => Fwd::Request,
        Pass::Range => Fwd::Partial,
        Pass::HitForMiss | Pass::HeadMiss | Pass::Precondition | Pass::WaiterLimit | Pass::WaiterTimeout => {
            Fwd::UriMiss
        }
        _ => Fwd::Bypass,
    };
    let detail = Some(reason.name());
    let status = Status::Forward { why, status: None, stored: false, collapsed: false, detail };
    exchange.cache = Some(CacheNote { outcome: CacheOutcome::Pass, status, detail });
    Obtained::Pass
}

/// The request wants a stored answer or none.
fn only_if_cached<'a>(exchange: &mut Exchange<'_>) -> Obtained<'a> {
    let detail = Reason::OnlyIfCached.name();
    let status = Status::Neither { detail };
    exchange.cache = Some(CacheNote { outcome: CacheOutcome::Failed, status, detail: Some(detail) });
    Obtained::Failed(Reason::OnlyIfCached.into())
}

/// What may be done with a stored answer at once: the note for it, and whether it is to be refreshed beside.
pub fn serve_now(
    policy: &CachePolicy,
    control: &RequestControl,
    kept: &Kept,
    now_ms: u64,
) -> Option<(CacheNote, bool)> {
    let Content::Answer(answer) = &*kept.content else { return None };
    let soft = kept.object.life.is_soft();
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let fresh = |ttl_ms: i64| (CacheOutcome::Hit, Status::Hit { ttl_s: ttl_ms.div_euclid(1_000) });
    let stale = |ms: u64| (CacheOutcome::Stale, Status::HitStale { ttl_s: -seconds(ms) });
    let ((outcome, status), refresh) =
        match judge(&answer.head.terms, soft, control, policy.refresh_ahead_percent, now_ms) {
            Use::Fresh { ttl_ms } => (fresh(ttl_ms), false),
            Use::Refresh { ttl_ms } => (fresh(ttl_ms), true),
            Use::StaleWhileRevalidate { stale_ms } => (stale(stale_ms), true),
            Use::StaleAllowed { stale_ms } => (stale(stale_ms), false),
            Use::Revalidate => return None,
        };
    Some((CacheNote { outcome, status, detail: None }, refresh))
}

/// What waiting for a head came to.
enum Waited<'a> {
    Obtained(Obtained<'a>),
    Again,
}

impl<'a> Search<'_, 'a> {
    async fn run(&mut self, client: &mut Client<'a>, exchange: &mut Exchange<'a>) -> Obtained<'a> {
        for _ in 0..ROUNDS {
            let place = match self.looking.look(self.core, client.head) {
                Seen::Answer(kept) => {
                    if let Some(hit) = self.hit(&kept, client, exchange) {
                        return hit;
                    }
                    self.stale = Some(kept);
                    self.looking.hash(self.core).refresh()
                }
                Seen::HitForMiss if self.looking.control.only_if_cached => return only_if_cached(exchange),
                Seen::HitForMiss => return self.side_by_side(exchange),
                Seen::Filling(_) | Seen::Nothing => {
                    self.stale = None;
                    self.why = if self.looking.names().is_some() { Fwd::VaryMiss } else { Fwd::UriMiss };
                    self.looking.hash(self.core)
                }
            };
            if let Some(obtained) = self.alone(client, exchange) {
                return obtained;
            }
            let (follower, handoff) = match self.join_or_lead(place, client, exchange) {
                Ok(Some(joined)) => joined,
                Ok(None) => continue,
                Err(obtained) => return obtained,
            };
            match self.wait_for_head(follower, handoff, client, exchange).await {
                Waited::Obtained(obtained) => return obtained,
                Waited::Again => self.looking.now_ms = clock::unix_ms(),
            }
        }
        pass(self.core, self.policy, exchange, Pass::WaiterLimit)
    }

    /// Past the cache, because the last answer could not be stored; should this one be storable, the mark ends.
    fn side_by_side(&self, exchange: &mut Exchange<'a>) -> Obtained<'a> {
        exchange.marked = Some(self.looking.key().into());
        pass(self.core, self.policy, exchange, Pass::HitForMiss)
    }

    /// Whether an answer on its way is as good for this request as one that it would ask for: no purge since it was
    /// asked for concerns it, and its head is not there yet, or may be used without asking (RFC 9111 §4).
    fn may_join(&self, object: &Object) -> bool {
        let Some(fill) = object.fill() else { return true };
        // The tags of what it is to confirm; its own are seen when its head is there.
        let tags = match self.stale.as_deref().map(|kept| &*kept.content) {
            Some(Content::Answer(answer)) => &*answer.head.tags,
            _ => &[],
        };
        if object.life.is_soft() || self.core.cache.standing(object, tags) != Standing::Good {
            return false;
        }
        fill.head().is_none_or(|head| {
            let used = judge(&head.terms, false, &self.looking.control, 0, self.looking.now_ms);
            !matches!(used, Use::Revalidate)
        })
    }

    /// A stored answer that may be used without asking.
    fn hit(&mut self, kept: &Rc<Kept>, client: &mut Client<'a>, exchange: &mut Exchange<'a>) -> Option<Obtained<'a>> {
        let (control, now_ms) = (&self.looking.control, self.looking.now_ms);
        let served = serve_now(self.policy, control, kept, now_ms);
        if let Some(outcome) = self.confirmed {
            // Just confirmed, so it is as good as fetched for this request, whatever its terms say about later ones.
            let status = self.forward(Some(304), outcome == CacheOutcome::Merged, None);
            exchange.cache = Some(CacheNote { outcome: CacheOutcome::Revalidated, status, detail: None });
            return Some(Obtained::Hit(Rc::clone(kept)));
        }
        let Some((note, refresh)) = served else {
            let Content::Answer(answer) = &*kept.content else { return None };
            self.why = forward_reason(&answer.head.terms, kept.object.life.is_soft(), now_ms);
            return None;
        };
        if refresh {
            self.refresh(kept, client, exchange);
        }
        exchange.cache = Some(note);
        Some(Obtained::Hit(Rc::clone(kept)))
    }

    /// A request that no flight can serve: it wants no fetch, or one of its own.
    fn alone(&mut self, client: &Client<'a>, exchange: &mut Exchange<'a>) -> Option<Obtained<'a>> {
        if self.looking.control.only_if_cached {
            return Some(only_if_cached(exchange));
        }
        let head = client.head;
        let reason = if head.method == Method::Head {
            Pass::HeadMiss
        } else if head.find(FieldId::IfMatch).is_some() || head.find(FieldId::IfUnmodifiedSince).is_some() {
            Pass::Precondition
        } else if self.stale.is_some() {
            return None;
        } else if head.find(FieldId::Range).is_some() && !range::is_from_zero(head) {
            Pass::Range
        } else {
            return None;
        };
        Some(pass(self.core, self.policy, exchange, reason))
    }

    /// Follows what flies to this place, or sends a flight there. `None` = another was quicker: look again.
    fn join_or_lead(
        &mut self,
        place: KeyHash,
        client: &mut Client<'a>,
        exchange: &mut Exchange<'a>,
    ) -> Result<Option<(Follower, Option<Handoff>)>, Obtained<'a>> {
        let Some(object) = self.core.cache.find(place, self.looking.key()) else {
            if overload::may_ask(self.core, exchange).is_err() {
                return match self.failed(Reason::Overload, CacheOutcome::Failed, exchange) {
                    Waited::Obtained(obtained) => Err(obtained),
                    Waited::Again => Ok(None),
                };
            }
            return match self.lead(place, client, exchange, false) {
                Ok(led) => Ok(led.map(|(follower, handoff)| (follower, Some(handoff)))),
                Err(reason) => {
                    self.policy.counters.not_stored(self.core.index, reason);
                    let detail = Some(reason.name());
                    let status = self.forward(None, false, detail);
                    exchange.cache = Some(CacheNote { outcome: CacheOutcome::Miss, status, detail });
                    Err(Obtained::Pass)
                }
            };
        };
        if !self.may_join(&object) {
            return Err(pass(self.core, self.policy, exchange, Pass::Arriving));
        }
        if !self.policy.merge {
            return Err(pass(self.core, self.policy, exchange, Pass::MergeOff));
        }
        if object.life.followers() >= self.policy.waiters_max {
            return Err(pass(self.core, self.policy, exchange, Pass::WaiterLimit));
        }
        Ok(Follower::join(object, self.policy.waiters_max).map(|follower| (follower, None)))
    }

    /// Sends a flight. `None` = another one was placed first.
    ///
    /// # Errors
    /// There is no room for an object.
    fn lead(
        &mut self,
        place: KeyHash,
        client: &mut Client<'a>,
        exchange: &mut Exchange<'a>,
        background: bool,
    ) -> Result<Option<(Follower, Handoff)>, NotStored> {
        let (core, cache, key) = (self.core, &self.core.cache, self.looking.key());
        let charge = cache.charge(OBJECT_BYTES + footprint(key.len())).ok_or(NotStored::NoRoom)?;
        let (fill, writer) = Fill::new();
        let (birth, url) = (cache.sequence(), url_mark(key::identity(key)));
        let method = if client.head.method == Method::Head { Method::Get } else { client.head.method };
        let object = Object::filling(Origin { key: key.into(), method, birth, url }, fill, charge);
        let Some(follower) = Follower::join(Arc::clone(&object), u32::MAX) else { return Ok(None) };
        if cache.place(place, &object).is_err() {
            return Ok(None);
        }
        let home = self.looking.hash(core);
        let handoff = Handoff::default();
        let names = self.looking.names().map(Into::into);
        // What is stored was asked for often enough.
        self.wanted = self.stale.is_some() || self.policy.min_uses <= 1 || cache.asked(home) >= self.policy.min_uses;
        take_off(Flight {
            core: Rc::clone(core),
            service: Rc::clone(self.service),
            route: Arc::clone(self.route),
            policy: Arc::clone(self.policy),
            request: request_of(client, exchange),
            landing: Landing { object, place, home, primary: self.looking.primary_bytes(), names },
            writer: Some(writer),
            stale: self.stale.clone(),
            handoff: Rc::clone(&handoff),
            background,
            control: if background { RequestControl::default() } else { self.looking.control },
            wanted: self.wanted,
        });
        Ok(Some((follower, handoff)))
    }

    /// Sends a flight for an answer that is served meanwhile; one at a time, over all cores.
    fn refresh(&mut self, kept: &Rc<Kept>, client: &mut Client<'a>, exchange: &mut Exchange<'a>) {
        let now_ms = clock::now_ms();
        let is_late = self.core.overload.lateness() > Lateness::InTime;
        if is_late || client.head.method == Method::Head || now_ms < kept.object.rests_until_ms() {
            return;
        }
        // One that fails is not begun again at the next hit.
        kept.object.rest_until(now_ms + REFRESH_REST_MS);
        let place = self.looking.hash(self.core).refresh();
        if self.core.cache.find(place, self.looking.key()).is_none() {
            self.stale = Some(Rc::clone(kept));
            // Where there is no room now there will be at the next hit.
            drop(self.lead(place, client, exchange, true));
            self.stale = None;
        }
    }

    fn forward(&self, status: Option<u16>, collapsed: bool, detail: Option<&'static str>) -> Status {
        let stored = status.is_none() && detail.is_none();
        Status::Forward { why: self.why, status, stored, collapsed, detail }
    }

    /// Waits for the head of an answer on its way.
    async fn wait_for_head(
        &mut self,
        follower: Follower,
        handoff: Option<Handoff>,
        client: &mut Client<'a>,
        exchange: &mut Exchange<'a>,
    ) -> Waited<'a> {
        let leads = handoff.is_some();
        let joined = self.core.cache.sequence();
        if leads {
            exchange.upstream = self.service.shared.upstreams.get(self.route.upstream).map(|u| &*u.name);
            exchange.upstream_started_us = Some(clock::now_us());
        }
        let wait_ms = if leads { u64::MAX } else { self.policy.wait_ms };
        let step = match follower.head(self.core.index) {
            Step::Wait => Box::pin(head_of(self.core, &follower, client, wait_ms)).await,
            step => Ok(step),
        };
        let outcome = if leads { CacheOutcome::Miss } else { CacheOutcome::Merged };
        match step {
            Ok(Step::Ready(head)) => {
                let differs =
                    |h: &AnswerHead| h.vary.as_deref().is_some_and(|v| !crate::cache::vary::matches(v, client.head));
                if !leads && (differs(&head) || self.is_purged(&follower, &head, joined)) {
                    return Waited::Again;
                }
                let detail = (!self.wanted).then(|| NotStored::MinUses.name());
                let status = self.forward(None, !leads, detail);
                exchange.cache = Some(CacheNote { outcome, status, detail });
                let private = handoff.map(|left| std::mem::take(&mut left.borrow_mut().private)).unwrap_or_default();
                Waited::Obtained(Obtained::Follow(Followed { follower, head, leads, private }))
            }
            Ok(Step::Ended(ending)) => {
                self.confirmed_head = follower.last_head();
                drop(follower);
                self.ended(ending, outcome, handoff, client, exchange)
            }
            Ok(Step::Wait) | Err(ReadError::Expired) if client.timer.is_over() => {
                Waited::Obtained(Obtained::Failed(Reason::Draining.into()))
            }
            Ok(Step::Wait) | Err(ReadError::Expired) => {
                Waited::Obtained(pass(self.core, self.policy, exchange, Pass::WaiterTimeout))
            }
            Err(_) => Waited::Obtained(Obtained::Failed(Reason::ClientGone.into())),
        }
    }

    /// Whether a purge by tag may have come between the question upstream and this request, which joined when the last
    /// purge was number `joined`: only the head has told the tags.
    fn is_purged(&self, follower: &Follower, head: &AnswerHead, joined: u64) -> bool {
        let object = follower.object();
        joined > object.birth && self.core.cache.standing(object, &head.tags) != Standing::Good
    }

    /// A flight ended without a head for this request.
    fn ended(
        &mut self,
        ending: Ending,
        outcome: CacheOutcome,
        handoff: Option<Handoff>,
        client: &Client<'a>,
        exchange: &mut Exchange<'a>,
    ) -> Waited<'a> {
        match ending {
            Ending::Confirmed => {
                self.confirmed = Some(outcome);
                Waited::Again
            }
            Ending::ConfirmedOnce { alone } if (handoff.is_some() || !alone) && self.stale.is_some() => {
                let status = self.forward(Some(304), outcome == CacheOutcome::Merged, None);
                exchange.cache = Some(CacheNote { outcome: CacheOutcome::Revalidated, status, detail: None });
                Waited::Obtained(self.stale.take().map_or(Obtained::Pass, |stale| Obtained::Hit(self.used_once(stale))))
            }
            Ending::Whole | Ending::Again | Ending::ConfirmedOnce { .. } => Waited::Again,
            Ending::Released(reason) => match handoff.and_then(|left| left.borrow_mut().handed.take()) {
                Some(handed) => {
                    let detail = Some(reason.name());
                    let status = self.forward(None, false, detail);
                    exchange.cache = Some(CacheNote { outcome, status, detail });
                    client.progress.body_read.set(true);
                    Waited::Obtained(Obtained::Alone(Box::new(self.answered(handed, exchange))))
                }
                None => Waited::Obtained(self.side_by_side(exchange)),
            },
            Ending::Failed(reason) => self.failed(reason, outcome, exchange),
        }
    }

    /// A stored answer under the head of its last confirmation: what the origin says about it now, nobody stores.
    fn used_once(&mut self, stale: Rc<Kept>) -> Rc<Kept> {
        let (Content::Answer(answer), Some(head)) = (&*stale.content, self.confirmed_head.take()) else { return stale };
        let (body, charge) = (Arc::clone(&answer.body), self.core.cache.account().nothing());
        let content = Content::Answer(Answer { head, body, charge });
        Kept::new(Arc::clone(&stale.object), Arc::new(content), 0)
    }

    fn failed(&mut self, reason: Reason, outcome: CacheOutcome, exchange: &mut Exchange<'a>) -> Waited<'a> {
        let detail = Some(reason.name());
        if let Some(kept) = self.stale.take()
            && let Content::Answer(answer) = &*kept.content
            && kept.object.life.state() == crate::cache::life::State::Complete
            && stale_on_error(&answer.head.terms, kept.object.life.is_soft(), &self.looking.control, clock::unix_ms())
        {
            let stale_ms = answer.head.terms.fresh_for_ms(clock::unix_ms()).min(0);
            let status = Status::HitStale { ttl_s: stale_ms / 1_000 };
            exchange.cache = Some(CacheNote { outcome: CacheOutcome::Stale, status, detail });
            return Waited::Obtained(Obtained::Hit(kept));
        }
        self.failures += 1;
        if outcome == CacheOutcome::Merged && self.failures < FAILURES_MAX {
            return Waited::Again;
        }
        let status = self.forward(None, outcome == CacheOutcome::Merged, detail);
        exchange.cache = Some(CacheNote { outcome: CacheOutcome::Failed, status, detail });
        // Nobody waited, as far as the flight could see: this client is there all the same.
        let reason = if reason == Reason::ClientGone { Reason::UpstreamReset } else { reason };
        Waited::Obtained(Obtained::Failed(reason.into()))
    }

    fn answered(&self, handed: Handed, exchange: &mut Exchange<'a>) -> Answered<'a> {
        let Handed { connection, head, framing } = handed;
        exchange.endpoint = Some(connection.address);
        Answered { connection, head, framing, route: self.route, upload: Upload::Done }
    }
}

/// Waits until the head is there, the flight has ended, the client has left, or the time is over.
async fn head_of(
    core: &Rc<Core>,
    follower: &Follower,
    client: &Client<'_>,
    wait_ms: u64,
) -> Result<Step<Arc<AnswerHead>>, ReadError> {
    let place = core.wakes.place(follower.object().number);
    let deadline_ms = clock::now_ms().saturating_add(wait_ms);
    let wait = Wait { timer: client.timer, deadline_ms, until: Until::Gone(client.stream) };
    let head = std::future::poll_fn(|context| match follower.head(core.index) {
        Step::Wait => {
            place.wait(context.waker());
            Poll::Pending
        }
        step => Poll::Ready(step),
    });
    wait.bound(head).await
}

/// The client's request, for a flight that may outlive it.
fn request_of(client: &Client<'_>, exchange: &Exchange<'_>) -> Request {
    Request {
        head: client.head.clone(),
        body: client.body.as_ref().map(|b| b.read.clone()).unwrap_or_default(),
        framing: client.framing.body,
        peer: client.peer,
        trusted: exchange.trusted,
        id: exchange.request_id,
    }
}
