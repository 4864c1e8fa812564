//! Which deliveries of one channel are settled, and which few frames settle more of them.

use std::collections::BTreeSet;

use lapin::types::DeliveryTag;

/// What is done with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    /// Its signup is committed: the broker may forget it.
    Acknowledged,
    /// It is in the dead queue: the broker may forget it.
    PutAside,
    /// It comes again.
    GivenBack,
}

/// What is sent to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// This one is acknowledged.
    Ack(DeliveryTag),
    /// This one is acknowledged, and every one below it that is not settled yet.
    AckThrough(DeliveryTag),
    /// This one is to be delivered again.
    GiveBack(DeliveryTag),
}

/// The delivery tags of one channel, which the broker counts from 1. It also counts what it has sent and we have not
/// yet taken, so a tag that was never settled here is pending, known or not.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// All up to this one are settled.
    through: DeliveryTag,
    /// Settled ones above it.
    above: BTreeSet<DeliveryTag>,
}

impl Tags {
    /// Settles deliveries, each only the first time: the broker ends a channel that settles one twice. The frames must
    /// be sent in order, and before those of the next call: what is given back has to be settled before a frame
    /// acknowledges all below a higher tag.
    pub(super) fn settle(&mut self, gathered: impl IntoIterator<Item = (DeliveryTag, Settlement)>) -> Vec<Frame> {
        let (mut frames, mut acknowledged) = (Vec::new(), Vec::new());
        for (tag, settlement) in gathered {
            if tag <= self.through || !self.above.insert(tag) {
                continue;
            }
            match settlement {
                Settlement::Acknowledged => acknowledged.push(tag),
                Settlement::PutAside => frames.push(Frame::Ack(tag)),
                Settlement::GivenBack => frames.push(Frame::GiveBack(tag)),
            }
        }
        while self.above.remove(&(self.through + 1)) {
            self.through += 1;
        }
        acknowledged.sort_unstable();
        let (together, alone) = acknowledged.split_at(acknowledged.partition_point(|tag| *tag <= self.through));
        match together {
            [] => {}
            [one] => frames.push(Frame::Ack(*one)),
            [.., last] => frames.push(Frame::AckThrough(*last)),
        }
        frames.extend(alone.iter().copied().map(Frame::Ack));
        frames
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lapin::types::DeliveryTag;
    use proptest::{
        collection::vec,
        prelude::{Just, Strategy, any, prop_oneof, proptest},
        sample::Index,
    };

    use super::{
        Frame, Settlement,
        Settlement::{Acknowledged, GivenBack, PutAside},
        Tags,
    };

    fn acknowledge(tags: &mut Tags, gathered: impl IntoIterator<Item = DeliveryTag>) -> Vec<Frame> {
        tags.settle(gathered.into_iter().map(|tag| (tag, Acknowledged)))
    }

    #[test]
    fn what_is_committed_together_is_one_frame_in_whatever_order_it_comes() {
        let mut tags = Tags::default();
        assert_eq!(acknowledge(&mut tags, [1]), [Frame::Ack(1)]);
        assert_eq!(acknowledge(&mut tags, [4, 2, 3]), [Frame::AckThrough(4)]);
        assert_eq!(acknowledge(&mut tags, 5..=64), [Frame::AckThrough(64)]);
    }

    #[test]
    fn above_one_that_is_pending_each_is_a_frame_of_its_own() {
        let mut tags = Tags::default();
        assert_eq!(
            acknowledge(&mut tags, [1, 2, 4, 5]),
            [Frame::AckThrough(2), Frame::Ack(4), Frame::Ack(5)],
            "3 is pending, taken or still on its way to us"
        );
        assert_eq!(acknowledge(&mut tags, [3, 6]), [Frame::AckThrough(6)], "those between are settled");
        assert_eq!(acknowledge(&mut tags, [8, 7]), [Frame::AckThrough(8)]);
    }

    #[test]
    fn what_is_put_aside_or_given_back_goes_alone_and_first() {
        let mut tags = Tags::default();
        assert_eq!(
            tags.settle([(1, Acknowledged), (2, GivenBack), (3, PutAside), (4, Acknowledged)]),
            [Frame::GiveBack(2), Frame::Ack(3), Frame::AckThrough(4)]
        );
    }

    #[test]
    fn a_delivery_is_settled_once() {
        let mut tags = Tags::default();
        assert_eq!(tags.settle([(2, Acknowledged), (2, GivenBack)]), [Frame::Ack(2)]);
        assert_eq!(tags.settle([(2, GivenBack)]), []);
        assert_eq!(tags.settle([(1, Acknowledged)]), [Frame::Ack(1)]);
        assert_eq!(tags.settle([(1, GivenBack), (2, PutAside)]), []);
    }

    /// What the broker keeps of a channel. It ends the channel for a tag that it doesn't know any more.
    #[derive(Default)]
    struct Broker {
        sent: DeliveryTag,
        pending: BTreeSet<DeliveryTag>,
        acknowledged: BTreeSet<DeliveryTag>,
        given_back: BTreeSet<DeliveryTag>,
    }

    impl Broker {
        fn deliver(&mut self) {
            self.sent += 1;
            self.pending.insert(self.sent);
        }

        fn hear(&mut self, frame: Frame) {
            let (Frame::Ack(tag) | Frame::AckThrough(tag) | Frame::GiveBack(tag)) = frame;
            assert!(self.pending.remove(&tag), "{frame:?} names one that is not pending");
            match frame {
                Frame::Ack(_) => assert!(self.acknowledged.insert(tag)),
                Frame::GiveBack(_) => assert!(self.given_back.insert(tag)),
                Frame::AckThrough(_) => {
                    let later = self.pending.split_off(&tag);
                    self.acknowledged.extend(std::mem::replace(&mut self.pending, later));
                    self.acknowledged.insert(tag);
                }
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Deliver,
        /// One that is in work is judged. What is settled already may be judged again, as after a panic.
        Judge(Index, Settlement),
        /// What has gathered is sent.
        Send,
    }

    fn step() -> impl Strategy<Value = Step> {
        let settlement = prop_oneof![8 => Just(Acknowledged), 1 => Just(PutAside), 1 => Just(GivenBack)];
        prop_oneof![
            4 => Just(Step::Deliver),
            4 => (any::<Index>(), settlement).prop_map(|(which, settlement)| Step::Judge(which, settlement)),
            1 => Just(Step::Send),
        ]
    }

    proptest! {
        #[test]
        fn the_broker_regards_as_settled_what_was_settled_and_nothing_else(steps in vec(step(), 0..200)) {
            let (mut broker, mut tags, mut gathered) = (Broker::default(), Tags::default(), Vec::new());
            let (mut positive, mut negative) = (BTreeSet::new(), BTreeSet::new());
            for step in steps.into_iter().chain([Step::Send]) {
                match step {
                    Step::Deliver => broker.deliver(),
                    Step::Judge(..) if broker.sent == 0 => {}
                    Step::Judge(which, settlement) => {
                        let tag = which.index(usize::try_from(broker.sent).unwrap()) as DeliveryTag + 1;
                        gathered.push((tag, settlement));
                        if !positive.contains(&tag) && !negative.contains(&tag) {
                            let of = if settlement == GivenBack { &mut negative } else { &mut positive };
                            of.insert(tag);
                        }
                    }
                    Step::Send => {
                        let judged = gathered.len();
                        let frames = tags.settle(gathered.drain(..));
                        assert!(frames.len() <= judged);
                        frames.into_iter().for_each(|frame| broker.hear(frame));
                        assert_eq!(broker.acknowledged, positive);
                        assert_eq!(broker.given_back, negative);
                    }
                }
            }
        }
    }
}
