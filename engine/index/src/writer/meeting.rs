//! Documents that several indexes have: found by a merge of the sorted hashes of their ids, a segment each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;

use super::adopt::Keep;
use crate::graph::Fault;
use crate::reader::snapshot::SegmentView;

/// A document: the place of its segment among those that are merged, and its place in it.
pub(super) type Place = (usize, usize);

/// A segment with the place of its index: 0 for the one that adopts, 1 for the first part.
pub(super) struct Member<'a> {
    pub(super) index: usize,
    pub(super) view: &'a SegmentView,
}

/// What the meeting of documents came to.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// The documents that give way to another of their id.
    pub(super) losers: Vec<Place>,
    /// Ids whose document in the adopting index gives way.
    pub(super) replaced: usize,
    /// Documents of parts that give way.
    pub(super) left_out: usize,
}

/// Finds the live documents that share an id, and which of them count. `look` hears of each thousand documents, and may stop it.
pub(super) fn meet(
    members: &[Member<'_>],
    keep: Keep,
    look: &mut dyn FnMut(usize) -> crate::Result<()>,
) -> crate::Result<Result<Met, Fault>> {
    let mut lists = Vec::with_capacity(members.len());
    for member in members {
        match member.view.segment.id_hashes() {
            Ok(list) => lists.push(list),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    // The least hash of each segment; of equal ones the earlier segment comes first.
    let mut heap: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::with_capacity(lists.len());
    for (at, list) in lists.iter_mut().enumerate() {
        heap.extend(list.next().map(|(hash, document)| Reverse((hash, at, document))));
    }
    let (mut met, mut group, mut of_hash, mut seen) = (Met::default(), Vec::new(), 0, 0);
    while let Some(mut top) = heap.peek_mut() {
        let Reverse((hash, at, document)) = *top;
        match lists[at].next() {
            Some((next, of)) => *top = Reverse((next, at, of)),
            None => drop(std::collections::binary_heap::PeekMut::pop(top)),
        }
        if hash != of_hash {
            if let Err(fault) = settle(members, &group, keep, &mut met) {
                return Ok(Err(fault));
            }
            group.clear();
            of_hash = hash;
        }
        group.push((at, document));
        seen += 1;
        if seen % 1024 == 0 {
            look(seen)?;
        }
    }
    Ok(settle(members, &group, keep, &mut met).map(|()| met))
}

/// Of the documents whose ids have one hash, notes those that give way.
fn settle(members: &[Member<'_>], group: &[Place], keep: Keep, met: &mut Met) -> Result<(), Fault> {
    if group.len() < 2 {
        return Ok(());
    }
    let mut by_id: HashMap<String, Vec<Place>> = HashMap::new();
    for (at, document) in group {
        let view = members[*at].view;
        if view.is_live_document(*document)? {
            by_id.entry(view.segment.document_id(*document)?).or_default().push((*at, *document));
        }
    }
    for mut places in by_id.into_values().filter(|places| places.len() > 1) {
        places.sort_unstable_by_key(|(at, _)| members[*at].index);
        let of = |(at, document): Place| members[at].view.segment.content_hash(document);
        let wanted = match keep {
            Keep::First => places[0],
            Keep::Last => places[places.len() - 1],
        };
        // What has not changed stays where it is.
        let content = of(wanted)?;
        let mut winner = wanted;
        for place in &places {
            if of(*place)? == content {
                winner = *place;
                break;
            }
        }
        for place in places.into_iter().filter(|place| *place != winner) {
            match members[place.0].index {
                0 => met.replaced += 1,
                _ => met.left_out += 1,
            }
            met.losers.push(place);
        }
    }
    Ok(())
}
