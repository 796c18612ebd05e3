//! A lane for each user.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

use msgserver_message::UserId;
use parking_lot::Mutex;

/// What a worker takes: all that waits for one user.
#[derive(Debug)]
pub struct Lane<J> {
    /// The user.
    pub user: UserId,
    /// The jobs, oldest first.
    pub jobs: VecDeque<J>,
    /// Whether it was woken or its time had come: something of its user's is to be looked at besides the jobs.
    pub woken: bool,
}

/// Where jobs wait. [`LaneQueue`] is the default; another one may bound, count or prefer.
///
/// Whoever implements it holds one promise: between [`Queue::take`] and [`Queue::give_back`] no other
/// caller gets the same user's lane.
pub trait Queue<J>: Send + Sync {
    /// The name that configurations use.
    fn name(&self) -> &str;
    /// Puts a job at the end of a user's lane.
    fn push(&self, user: &UserId, job: J);
    /// Takes the lane that has been ready the longest, if one is.
    fn take(&self) -> Option<Lane<J>>;
    /// Gives a lane back, with the jobs that are not done; they stand before whatever came meanwhile. The
    /// lane is parked until `again`, or ready at once if there is no such instant. A lane without jobs is
    /// parked as well: something of its user's has to be looked at then.
    fn give_back(&self, user: &UserId, rest: VecDeque<J>, again: Option<Instant>);
    /// Makes a user's lane ready now, parked or not.
    fn wake(&self, user: &UserId);
    /// Makes the parked lanes ready whose time has come; gives the instant of the next one.
    fn wake_due(&self, now: Instant) -> Option<Instant>;
    /// How many jobs wait, those in taken lanes not counted.
    fn len(&self) -> usize;
    /// Whether nothing waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The default queue: a table of lanes under one lock, which is held for a few instructions a call.
#[derive(Debug)]
pub struct LaneQueue<J> {
    state: Mutex<State<J>>,
}

#[derive(Debug)]
struct State<J> {
    lanes: HashMap<UserId, Waiting<J>>,
    ready: VecDeque<UserId>,
    parked: BinaryHeap<Reverse<(Instant, UserId)>>,
    len: usize,
}

#[derive(Debug)]
struct Waiting<J> {
    jobs: VecDeque<J>,
    woken: bool,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    /// With a worker.
    Taken,
    Parked(Instant),
}

impl<J> Default for LaneQueue<J> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                ready: VecDeque::new(),
                parked: BinaryHeap::new(),
                len: 0,
            }),
        }
    }
}

impl<J: Send> Queue<J> for LaneQueue<J> {
    fn name(&self) -> &str {
        "default"
    }

    fn push(&self, user: &UserId, job: J) {
        let state = &mut *self.state.lock();
        state.len += 1;
        match state.lanes.get_mut(user) {
            Some(lane) => lane.jobs.push_back(job),
            None => {
                let lane = Waiting { jobs: VecDeque::from([job]), woken: false, place: Place::Ready };
                state.lanes.insert(user.clone(), lane);
                state.ready.push_back(user.clone());
            }
        }
    }

    fn take(&self) -> Option<Lane<J>> {
        let state = &mut *self.state.lock();
        let user = state.ready.pop_front()?;
        let lane = state.lanes.get_mut(&user)?;
        lane.place = Place::Taken;
        let (jobs, woken) = (std::mem::take(&mut lane.jobs), std::mem::take(&mut lane.woken));
        state.len -= jobs.len();
        Some(Lane { user, jobs, woken })
    }

    fn give_back(&self, user: &UserId, mut rest: VecDeque<J>, again: Option<Instant>) {
        let state = &mut *self.state.lock();
        let Some(lane) = state.lanes.get_mut(user) else { return };
        state.len += rest.len();
        rest.append(&mut lane.jobs);
        lane.jobs = rest;
        match again {
            Some(again) if !lane.woken => {
                lane.place = Place::Parked(again);
                state.parked.push(Reverse((again, user.clone())));
            }
            _ if lane.woken || !lane.jobs.is_empty() => {
                lane.place = Place::Ready;
                state.ready.push_back(user.clone());
            }
            _ => {
                state.lanes.remove(user);
            }
        }
    }

    fn wake(&self, user: &UserId) {
        let state = &mut *self.state.lock();
        match state.lanes.get_mut(user) {
            None => {
                let lane = Waiting { jobs: VecDeque::new(), woken: true, place: Place::Ready };
                state.lanes.insert(user.clone(), lane);
                state.ready.push_back(user.clone());
            }
            Some(lane) => {
                lane.woken = true;
                if let Place::Parked(_) = lane.place {
                    lane.place = Place::Ready;
                    state.ready.push_back(user.clone());
                }
            }
        }
    }

    fn wake_due(&self, now: Instant) -> Option<Instant> {
        let state = &mut *self.state.lock();
        while let Some(Reverse((due, _))) = state.parked.peek() {
            if *due > now {
                return Some(*due);
            }
            let Some(Reverse((due, user))) = state.parked.pop() else { break };
            // A lane that was woken early has left its entry behind.
            if let Some(lane) = state.lanes.get_mut(&user)
                && lane.place == Place::Parked(due)
            {
                lane.place = Place::Ready;
                lane.woken = true;
                state.ready.push_back(user);
            }
        }
        None
    }

    fn len(&self) -> usize {
        self.state.lock().len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn user(n: u8) -> UserId {
        UserId::new(format!("u{n}")).unwrap()
    }

    #[test]
    fn a_parked_lane_waits_for_its_time_or_a_wake() {
        let (queue, start) = (LaneQueue::default(), Instant::now());
        let later = start + Duration::from_secs(10);
        queue.push(&user(1), 'a');
        let lane = queue.take().unwrap();
        queue.give_back(&lane.user, lane.jobs, Some(later));
        queue.push(&user(1), 'b');
        assert!(queue.take().is_none());
        assert_eq!(queue.wake_due(start), Some(later));
        assert!(queue.take().is_none());
        queue.wake_due(later);
        assert_eq!(queue.take().unwrap().jobs, ['a', 'b']);
        queue.give_back(&user(1), VecDeque::from(['b']), Some(later));
        queue.wake(&user(1));
        assert_eq!(queue.take().unwrap().jobs, ['b']);
        queue.give_back(&user(1), VecDeque::new(), None);
        assert_eq!(queue.wake_due(later), None);
        assert!(queue.take().is_none() && queue.is_empty());
    }

    #[test]
    fn a_lane_without_jobs_is_looked_at_again_when_asked() {
        let (queue, now) = (LaneQueue::<char>::default(), Instant::now());
        queue.wake(&user(1));
        queue.give_back(&queue.take().unwrap().user, VecDeque::new(), Some(now));
        assert!(queue.take().is_none());
        assert_eq!(queue.wake_due(now), None);
        assert!(queue.take().unwrap().jobs.is_empty());
    }

    #[test]
    fn a_lane_says_whether_there_is_more_to_look_at_than_its_jobs() {
        let (queue, now) = (LaneQueue::default(), Instant::now());
        let take = || queue.take().map(|lane| (lane.jobs.len(), lane.woken));
        queue.push(&user(1), 'a');
        assert_eq!(take(), Some((1, false)));
        queue.wake(&user(1));
        queue.push(&user(1), 'b');
        queue.give_back(&user(1), VecDeque::new(), None);
        assert_eq!(take(), Some((1, true)));
        queue.give_back(&user(1), VecDeque::from(['b']), Some(now));
        queue.push(&user(1), 'c');
        queue.wake_due(now);
        assert_eq!(take(), Some((2, true)));
        queue.give_back(&user(1), VecDeque::from(['c']), None);
        assert_eq!(take(), Some((1, false)));
    }

    #[test]
    fn a_wake_while_the_lane_is_taken_is_not_lost() {
        let queue = LaneQueue::default();
        queue.push(&user(1), 'a');
        let lane = queue.take().unwrap();
        queue.wake(&user(1));
        queue.give_back(&user(1), lane.jobs, Some(Instant::now() + Duration::from_secs(10)));
        assert_eq!(queue.take().unwrap().jobs, ['a']);
    }

    proptest! {
        #[test]
        fn one_users_jobs_come_out_in_order_and_none_twice(steps in prop::collection::vec((0u8..4, 0u8..5), 1..200)) {
            let (queue, start) = (LaneQueue::default(), Instant::now());
            let mut pushed = [0u32; 4];
            let mut done = [0u32; 4];
            let mut taken: Vec<Lane<u32>> = Vec::new();
            for (n, step) in steps.into_iter().chain((0..40).flat_map(|_| [(0, 2), (0, 4), (0, 3)])) {
                match step {
                    0 | 1 => { queue.push(&user(n), pushed[n as usize]); pushed[n as usize] += 1; }
                    2 => if let Some(lane) = queue.take() {
                        prop_assert!(taken.iter().all(|other| other.user != lane.user));
                        taken.push(lane);
                    },
                    3 => if let Some(mut lane) = taken.pop() {
                        let n: usize = lane.user.as_str()[1..].parse().unwrap();
                        if let Some(job) = lane.jobs.pop_front() {
                            prop_assert_eq!(job, done[n]);
                            done[n] += 1;
                        }
                        queue.give_back(&lane.user, lane.jobs, Some(start));
                    },
                    _ => { queue.wake_due(start); }
                }
            }
            let left: u32 = (0..4).map(|n| pushed[n] - done[n]).sum();
            let held: usize = taken.iter().map(|lane| lane.jobs.len()).sum();
            prop_assert_eq!(queue.len() + held, left as usize);
        }
    }
}
