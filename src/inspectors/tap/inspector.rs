use alloc::format;
use alloc::sync::Arc;

use super::TapRules;
use crate::inspect::{Beginning, Context, Inspector, Interest, Packet};

/// Has the flows kept as evidence that [`TapRules`] take, from their first packet on, and lets everything pass. Clones share the
/// rules: one for each worker. It stands before all others, so that what they refuse is kept too.
///
/// A flow costs one look-up, at its first packet, and nothing later. Of what comes in tunnels it is enough that a packet around
/// it is taken. Where it is a guess who opened a flow, it is enough that it is taken one way round.
///
/// ```
/// use gwlb_geneve::inspect::check;
/// use gwlb_geneve::inspectors::access::{Action, Rule};
/// use gwlb_geneve::inspectors::tap::{TapInspector, TapRules};
///
/// let rules = TapRules::new([Rule::new(Action::Allow).ports(23)])?;
/// assert!(check(&TapInspector::new(rules)).is_ok());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TapInspector {
    rules: Arc<TapRules>,
}

impl TapInspector {
    /// By rules, or by those that are shared.
    pub fn new(rules: impl Into<Arc<TapRules>>) -> Self {
        Self { rules: rules.into() }
    }

    /// The rules.
    pub fn rules(&self) -> &TapRules {
        &self.rules
    }
}

impl Inspector for TapInspector {
    type Flow = ();

    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        "tap"
    }

    #[inline]
    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<()> {
        let is_guess = first.beginning() == Beginning::Midstream;
        let is_turned = !first.is_from_opener();
        let tunneled = first.tunneled();
        let carriers = tunneled.iter().flat_map(|tunneled| tunneled.tunnels());
        let carriers = carriers.filter_map(|tunnel| tunnel.carrier().five_tuple().ok());
        let carriers = carriers.map(|tuple| if is_turned { tuple.reversed() } else { tuple });
        let mut tuples = core::iter::once(first.opener_tuple()).chain(carriers);
        let reason = tuples.find_map(|tuple| {
            let reason = self.rules.reason(first.endpoint(), &tuple);
            let turned = is_guess.then(|| tuple.reversed());
            reason.or_else(|| self.rules.reason(first.endpoint(), &turned?))
        });
        if let Some(reason) = reason {
            cx.capture_for(format!("tap: {reason}"));
        }
        None
    }
}
