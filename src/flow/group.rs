use alloc::vec::Vec;

use crate::gwlb::EndpointId;

/// Endpoints that share one key space: traffic that crosses two endpoints, or whose directions are split over
/// them, is one flow only if both count as the same.
///
/// ```
/// use gwlb_geneve::flow::EndpointGroups;
/// use gwlb_geneve::gwlb::EndpointId;
///
/// let groups: EndpointGroups = [[EndpointId(1), EndpointId(2)]].into_iter().collect();
/// assert_eq!(groups.resolve(EndpointId(2)), EndpointId(1));
/// assert_eq!(groups.resolve(EndpointId(3)), EndpointId(3));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointGroups {
    /// Endpoint and what stands for it, in order of the endpoints.
    members: Vec<(EndpointId, EndpointId)>,
}

impl EndpointGroups {
    /// What stands for an endpoint in a [`FlowKey`](super::FlowKey): the first of its group, or itself where it is
    /// in none.
    #[inline]
    pub fn resolve(&self, endpoint: EndpointId) -> EndpointId {
        if self.members.is_empty() {
            return endpoint;
        }
        let found = self.members.binary_search_by_key(&endpoint, |(member, _)| *member);
        found.ok().and_then(|at| self.members.get(at)).map_or(endpoint, |(_, first)| *first)
    }
}

impl<G: IntoIterator<Item = EndpointId>> FromIterator<G> for EndpointGroups {
    /// From groups of endpoints. An endpoint that is in two groups belongs to the first of them.
    fn from_iter<T: IntoIterator<Item = G>>(groups: T) -> Self {
        let mut members = Vec::new();
        for group in groups {
            let mut group = group.into_iter();
            let Some(first) = group.next() else { continue };
            members.push((first, first));
            members.extend(group.map(|member| (member, first)));
        }
        // Stable, so that of an endpoint's groups the first stands first.
        members.sort_by_key(|(member, _)| *member);
        members.dedup_by_key(|(member, _)| *member);
        Self { members }
    }
}
