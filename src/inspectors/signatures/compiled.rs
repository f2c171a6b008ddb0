use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buffers::Full;
use super::inspector::Tables;
use super::matching::{Beside, Set};
use super::{AlertFilters, Classes, Loader, Report, Rule, RuleId, SignatureError, Variables};
use crate::gwlb::EndpointId;

/// Rules made ready to be looked for, all at once. Shared by the inspectors of all workers; what is remembered beyond flows (thresholds,
/// bits of addresses) is in here.
///
/// A rule that cannot work is left out, and [`problems`](Self::problems) says why.
pub struct Signatures {
    set: Set,
    limits: SignatureLimits,
    /// Which surrounding an endpoint is in; of others, the first.
    endpoints: BTreeMap<EndpointId, usize>,
    problems: Vec<(RuleId, SignatureError)>,
    tables: Mutex<Tables>,
    counters: Counters,
    costs: Option<Vec<Cost>>,
    filters: AlertFilters,
}

/// What rules are read with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SignatureSettings {
    /// What `$NAME` means.
    pub variables: Variables,
    /// What it means for packets of an endpoint that has variables of its own.
    pub endpoints: BTreeMap<EndpointId, Variables>,
    /// What a `classtype` means, and the priority of its rules.
    pub classes: Classes,
    /// Which alerts are not told, and how often others are.
    pub filters: AlertFilters,
    /// How much is done and held.
    pub limits: SignatureLimits,
    /// Whether it is counted what each rule costs.
    pub counts_costs: bool,
    /// Whether rules are to be [explained](super::SignatureInspector::traced): each is asked about all that it is for, whatever is in it.
    pub explains: bool,
}

/// How much is done and held to find signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureLimits {
    /// Bytes of each side of a connection that are looked at as a stream. 1 MiB by default.
    pub stream_depth: u64,
    /// Bytes of a stream before new ones that are looked at again with them. 4 KiB by default.
    pub stream_window: usize,
    /// Bytes of a request's body. 64 KiB by default.
    pub request_body: usize,
    /// Bytes of a response's body, inflated. 64 KiB by default.
    pub response_body: usize,
    /// Bytes that the flows of a worker hold together: streams, bodies, and heads as long as their bodies are not whole. 64 MiB by
    /// default. A flow that finds no room is looked at packet by packet, and counts as not [answered](SignatureCounters::unanswered)
    /// where rules that refuse may want more of it.
    pub bytes: usize,
    /// Of these, what the flows of one endpoint hold in a worker, so that no endpoint takes the room that others need. 48 MiB by default.
    pub bytes_per_endpoint: usize,
    /// Steps that are done for a packet, together with the pieces of streams and the messages in it, before rules count as not holding.
    /// 100,000 by default.
    pub steps: u64,
    /// Whether flows are dropped for which a rule that drops or rejects was not asked for all of it, as there were no steps left, too many
    /// waited, or what it may look at had no room or is compressed and not inflated (a body that is broken, a request's, or in an unknown coding); otherwise, as by default, that is told only.
    pub refuses_unanswered: bool,
    /// Entries that all workers together remember: counts of thresholds and filters, and as many bits of addresses. 65,536 by default.
    pub remembered: usize,
    /// Of these, so many for one endpoint; 49,152 by default. Where there is no room, an endpoint that has its share loses its own oldest
    /// entry, and otherwise the endpoint that has most loses one: a flood of addresses at one endpoint makes nothing forgotten that others
    /// need.
    pub remembered_per_endpoint: usize,
}

impl Default for SignatureLimits {
    fn default() -> Self {
        Self {
            stream_depth: 1 << 20,
            stream_window: 4 << 10,
            request_body: 64 << 10,
            response_body: 64 << 10,
            bytes: 64 << 20,
            bytes_per_endpoint: 48 << 20,
            steps: 100_000,
            refuses_unanswered: false,
            remembered: 1 << 16,
            remembered_per_endpoint: 3 << 14,
        }
    }
}

/// How often something happened that is not as it should be.
#[derive(Debug, Default)]
struct Counters {
    budget_used_up: AtomicU64,
    unanswered: AtomicU64,
    no_room: AtomicU64,
    no_share: AtomicU64,
    too_many: AtomicU64,
}

/// How often limits were met, of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignatureCounters {
    /// Packets, pieces of streams and messages for which not all was done: [`SignatureLimits::steps`].
    pub budget_used_up: u64,
    /// Packets, pieces of streams and messages for which a rule that drops or rejects was not asked for all of it, or not followed up, or
    /// for which there was no room where one may want them later, or compressed bodies that one looks at and that are not inflated:
    /// broken ones, those of requests, and in unknown codings.
    pub unanswered: u64,
    /// Pieces of streams and bodies that were not kept, as all flows had as much as they may have: [`SignatureLimits::bytes`].
    pub no_room: u64,
    /// Those that were not kept as the flows of their endpoint had its share: [`SignatureLimits::bytes_per_endpoint`].
    pub no_share: u64,
    /// Rules that were not followed up, as too many waited for more of a flow.
    pub too_many: u64,
    /// Counts and bits that were forgotten before their time was over: [`SignatureLimits::remembered`],
    /// [`SignatureLimits::remembered_per_endpoint`].
    pub forgotten: u64,
}

#[derive(Debug, Default)]
struct Cost {
    hits: AtomicU64,
    asked: AtomicU64,
    held: AtomicU64,
}

/// What a rule has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleCost {
    /// Which rule.
    pub id: RuleId,
    /// In how many packets, pieces of streams and messages its pattern was found; of a rule without one, how often there was something to look at.
    pub hits: u64,
    /// How often it was asked for all of it.
    pub asked: u64,
    /// How often all of it held.
    pub held: u64,
}

impl Signatures {
    /// Of rules made in code or read before.
    pub fn new(rules: &[Rule], settings: &SignatureSettings) -> Self {
        let mut surroundings = Vec::from([&settings.variables]);
        let mut endpoints = BTreeMap::new();
        for (endpoint, variables) in &settings.endpoints {
            let known = surroundings.iter().position(|known| *known == variables);
            let number = known.unwrap_or_else(|| {
                surroundings.push(variables);
                surroundings.len().saturating_sub(1)
            });
            endpoints.insert(*endpoint, number);
        }
        let (set, problems) = Set::new(
            rules,
            &surroundings,
            Beside {
                classes: &settings.classes,
                filters: &settings.filters,
                explains: settings.explains,
            },
        );
        let limits = &settings.limits;
        let tables = Tables::new(limits.remembered, limits.remembered_per_endpoint);
        let costs =
            settings.counts_costs.then(|| set.rules.iter().map(|_| Cost::default()).collect());
        let problems =
            problems.into_iter().filter_map(|(place, error)| Some((rules.get(place)?.id, error)));
        Self {
            limits: settings.limits,
            endpoints,
            problems: problems.collect(),
            tables: Mutex::new(tables),
            counters: Counters::default(),
            costs,
            filters: settings.filters.clone(),
            set,
        }
    }

    /// Of a text, one rule a line; and what became of those that do not load.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::signatures::{SignatureSettings, Signatures};
    ///
    /// let text = br#"drop http any any -> any any (msg:"shell"; http.uri; content:"/shell"; sid:1;)"#;
    /// let (signatures, report) = Signatures::parse(text, &SignatureSettings::default());
    /// assert_eq!((signatures.len(), report.errors().len()), (1, 0));
    /// ```
    pub fn parse(text: &[u8], settings: &SignatureSettings) -> (Self, Report) {
        let mut loader = Loader::new(settings.variables.clone());
        loader.add("", text);
        let loaded = loader.finish();
        (Self::new(loaded.rules(), settings), loaded.report().clone())
    }

    /// How many rules are looked for.
    pub fn len(&self) -> usize {
        self.set.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.set.rules.is_empty()
    }

    /// Rules that are left out, and why.
    pub fn problems(&self) -> &[(RuleId, SignatureError)] {
        &self.problems
    }

    /// How much is done and held.
    pub const fn limits(&self) -> &SignatureLimits {
        &self.limits
    }

    /// How often limits were met.
    pub fn counters(&self) -> SignatureCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SignatureCounters {
            budget_used_up: read(&self.counters.budget_used_up),
            unanswered: read(&self.counters.unanswered),
            no_room: read(&self.counters.no_room),
            no_share: read(&self.counters.no_share),
            too_many: read(&self.counters.too_many),
            forgotten: self.tables().forgotten(),
        }
    }

    /// What each rule has cost, where that is [counted](SignatureSettings::counts_costs): the dearest first.
    pub fn costs(&self) -> Vec<RuleCost> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let costs = self.costs.iter().flatten().zip(&self.set.rules).map(|(cost, rule)| RuleCost {
            id: rule.id,
            hits: read(&cost.hits),
            asked: read(&cost.asked),
            held: read(&cost.held),
        });
        let mut costs: Vec<RuleCost> = costs.collect();
        costs.sort_by_key(|cost| core::cmp::Reverse((cost.asked, cost.hits)));
        costs
    }

    /// Bytes of memory of what patterns are looked for with.
    pub fn prefilter_memory(&self) -> usize {
        self.set.prefilter_memory()
    }

    pub(super) const fn set(&self) -> &Set {
        &self.set
    }

    pub(super) fn surrounding(&self, endpoint: EndpointId) -> usize {
        self.endpoints.get(&endpoint).copied().unwrap_or(0)
    }

    /// Nothing is done under the lock that could panic.
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn filters(&self) -> &AlertFilters {
        &self.filters
    }

    #[cold]
    pub(super) fn note_budget(&self) {
        self.counters.budget_used_up.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn note_unanswered(&self) {
        self.counters.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn note_full(&self, full: Full) {
        let counter = match full {
            Full::All => &self.counters.no_room,
            Full::Endpoint => &self.counters.no_share,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn note_too_many(&self) {
        self.counters.too_many.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn note_hit(&self, rule: u32) {
        self.note(rule, |cost| &cost.hits);
    }

    #[inline]
    pub(super) fn note_asked(&self, rule: u32) {
        self.note(rule, |cost| &cost.asked);
    }

    #[inline]
    pub(super) fn note_held(&self, rule: u32) {
        self.note(rule, |cost| &cost.held);
    }

    #[inline]
    fn note(&self, rule: u32, which: impl FnOnce(&Cost) -> &AtomicU64) {
        if let Some(cost) = self.costs.as_ref().and_then(|costs| costs.get(rule as usize)) {
            which(cost).fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signatures")
            .field("rules", &self.len())
            .field("problems", &self.problems)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
