use proptest::prelude::*;
use rangemap::RangeInclusiveSet;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Insert(Span),
    Remove(Span),
}

/// Spans near 0, and near the highest number, where a careless `+ 1` would overflow.
fn span() -> impl Strategy<Value = Span> {
    (any::<bool>(), 0..200_u128, 0..12_u128).prop_map(|(high, first, length)| {
        if high {
            let last = u128::MAX - first;
            Span { first: last - length, last }
        } else {
            Span { first, last: first + length }
        }
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![span().prop_map(Op::Insert), span().prop_map(Op::Remove)]
}

fn model_spans(model: &RangeInclusiveSet<u128>) -> Vec<Span> {
    model.iter().map(|range| Span { first: *range.start(), last: *range.end() }).collect()
}

proptest! {
    #[test]
    fn agrees_with_rangemap(ops in prop::collection::vec(op(), 1..150), probe in span()) {
        let mut set = IntervalSet::default();
        let mut model = RangeInclusiveSet::new();
        for op in ops {
            match op {
                Op::Insert(span) => {
                    set.insert(span);
                    model.insert(span.first..=span.last);
                }
                Op::Remove(span) => {
                    set.remove(span);
                    model.remove(span.first..=span.last);
                }
            }
            let expected = model_spans(&model);
            prop_assert_eq!(set.spans().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(set.first(), expected.first().map(|span| span.first));
            prop_assert_eq!(set.last(), expected.last().map(|span| span.last));
        }
        for number in probe.first..=probe.last {
            prop_assert_eq!(set.contains(number), model.contains(&number));
        }
        let expected: Vec<Span> = model
            .overlapping(probe.first..=probe.last)
            .map(|range| Span { first: *range.start().max(&probe.first), last: *range.end().min(&probe.last) })
            .collect();
        prop_assert_eq!(set.overlapping(probe).collect::<Vec<_>>(), expected);
        let gaps: Vec<Span> =
            model.gaps(&(probe.first..=probe.last)).map(|range| Span { first: *range.start(), last: *range.end() }).collect();
        prop_assert_eq!(set.gaps(probe).collect::<Vec<_>>(), gaps);
    }
}
