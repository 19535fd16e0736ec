// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Keeper keeps a set current: it asks runtimes for their containers, watches their starts and ends, and connects again after
// a runtime has been away.
type Keeper struct {
	set      *Set
	runtimes []Runtime
	log      *slog.Logger
	ends     *ends // nil: the kernel cannot report the end of processes
	forget   func()

	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	connected []string // the runtimes that have answered, by name
}

// NewKeeper returns a keeper for a set. The keeper owns the runtimes and closes them.
func NewKeeper(set *Set, log *slog.Logger, runtimes ...Runtime) (*Keeper, error) {
	k := &Keeper{set: set, runtimes: runtimes, log: log, cancel: func() {}}
	var err error
	if k.ends, err = newEnds(set.endOf); err != nil {
		return nil, err
	}
	k.forget = set.Subscribe(k.ends.note)
	return k, nil
}

// Patience is how long Start waits for runtimes to answer.
const Patience = 500 * time.Millisecond

// Start asks all runtimes at once, and returns when each has answered or failed, or after Patience. Until Close, the keeper
// continues to ask runtimes that have not answered.
func (k *Keeper) Start() {
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	var asked sync.WaitGroup
	for _, rt := range k.runtimes {
		asked.Add(1)
		k.running.Go(func() { k.keep(ctx, rt, sync.OnceFunc(asked.Done)) })
	}
	all := make(chan struct{})
	go func() {
		asked.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(Patience):
		k.log.Info("some container runtimes have not answered yet", "waited", Patience)
	}
}

// Connected returns the names of the runtimes that have answered since Start, in no particular order.
func (k *Keeper) Connected() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.connected)
}

// keep follows one runtime until ctx is done. It calls asked when the runtime has answered or failed for the first
// time.
func (k *Keeper) keep(ctx context.Context, rt Runtime, asked func()) {
	defer asked()
	pause := newBackoff(rt.Socket())
	for {
		seen, _ := os.Stat(rt.Socket())
		err := k.follow(ctx, rt, func() {
			asked()
			pause.reset()
		})
		if ctx.Err() != nil {
			return
		}
		asked()
		k.log.Debug("no connection to a container runtime", "runtime", rt.Name(), "socket", rt.Socket(), "err", err)
		// A runtime that lacks the interface may have it after a restart with another configuration.
		if errors.Is(err, errors.ErrUnsupported) && pause.waitForOther(ctx, seen) {
			continue
		}
		if !pause.wait(ctx) {
			return
		}
	}
}

// follow watches a runtime until the connection is lost, and calls connected when its containers are known.
func (k *Keeper) follow(ctx context.Context, rt Runtime, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var listing sync.WaitGroup
	defer listing.Wait()
	var listErr error
	ready := func() {
		// Watch runs at the same time, so that no change is missed.
		listing.Go(func() {
			var unanswered []string
			if unanswered, listErr = k.list(ctx, rt); listErr != nil {
				cancel()
				return
			}
			k.note(rt)
			connected()
			k.askAgain(ctx, rt, unanswered)
		})
	}
	err := rt.Watch(ctx, ready, func(c Change) { k.change(ctx, rt, c) })
	cancel()
	listing.Wait()
	return errors.Join(err, listErr)
}

func (k *Keeper) note(rt Runtime) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.connected, rt.Name()) {
		k.connected = append(k.connected, rt.Name())
	}
}

// list puts all containers of a runtime into the set. It returns the ids of those about which the runtime did not answer in time: it
// says neither which process is their first, nor that they have ended.
func (k *Keeper) list(ctx context.Context, rt Runtime) (unanswered []string, err error) {
	all, err := rt.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range all {
		switch err := k.set.Put(rt.Rank(), id); {
		case err == nil:
		case id.PID == 0:
			unanswered = append(unanswered, id.ID)
		default:
			k.log.Debug("a container has ended at once", "runtime", rt.Name(), "id", id.ID, "err", err)
		}
	}
	k.log.Debug("containers of a runtime", "runtime", rt.Name(), "running", len(all), "unanswered", len(unanswered))
	return unanswered, nil
}

// How long to wait before asking again about a container. Each pause is twice as long as the one before. After the longest the runtime has
// most likely reported the container's end, or does not know it any more.
const (
	firstAsked = 500 * time.Millisecond
	lastAsked  = 10 * time.Minute
)

// askAgain asks about containers until the set knows them, or they are gone.
func (k *Keeper) askAgain(ctx context.Context, rt Runtime, ids []string) {
	for pause := firstAsked; len(ids) > 0 && pause < lastAsked; pause *= 2 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return k.set.knows(id) || k.ask(ctx, rt, id) })
	}
}

// ask asks about a container and puts it into the set. It reports whether there is nothing more to ask.
func (k *Keeper) ask(ctx context.Context, rt Runtime, id string) bool {
	c, err := rt.Get(ctx, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return true
	case err != nil:
		return false
	}
	return k.set.Put(rt.Rank(), c) == nil || c.PID != 0
}

// change handles a change that a runtime reports.
func (k *Keeper) change(ctx context.Context, rt Runtime, c Change) {
	if c.Ended {
		k.set.endIfGone(c.ID)
		return
	}
	id, err := rt.Get(ctx, c.ID)
	if err == nil {
		err = k.set.Put(rt.Rank(), id)
	}
	if err != nil && ctx.Err() == nil {
		k.log.Debug("a container that has started cannot be inspected", "runtime", rt.Name(), "id", c.ID, "err", err)
	}
}

// Created adds a container that exists and has not run anything yet. It asks the runtimes what they know about it, and
// returns when the subscribers of the set know it, at the latest when ctx is done. id must have the container's id and the
// id of its first process. Subscribers get the container once, complete, unless a runtime is slow.
func (k *Keeper) Created(ctx context.Context, id Identity) error {
	answers := make(chan answer, len(k.runtimes))
	for _, rt := range k.runtimes {
		k.running.Go(func() {
			known, err := rt.Get(ctx, id.ID)
			known.PID = id.PID
			answers <- answer{rt.Rank(), known, err}
		})
	}
	known := collect(answers, len(k.runtimes), halfOf(ctx))
	late := len(k.runtimes) - len(known)
	known = append(known, answer{RankBundle, id, nil})
	// The best comes first: the others can only complete it.
	slices.SortStableFunc(known, func(a, b answer) int { return cmp.Compare(b.rank, a.rank) })
	err := k.putAll(known)
	return errors.Join(err, k.putAll(collect(answers, late, ctx.Done())))
}

// answer is what a runtime says about a container.
type answer struct {
	rank int
	Identity
	err error // the container belongs to another runtime, or this one is away
}

// collect receives n answers, or fewer if over comes before.
func collect(answers <-chan answer, n int, over <-chan struct{}) (got []answer) {
	for len(got) < n {
		select {
		case a := <-answers:
			got = append(got, a)
		case <-over:
			return got
		}
	}
	return got
}

// halfOf returns a channel that closes after half of the time that ctx has left.
func halfOf(ctx context.Context) <-chan struct{} {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx.Done()
	}
	half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	context.AfterFunc(half, cancel)
	return half.Done()
}

// putAll puts what runtimes say about a container into the set. An error says that the container has ended.
func (k *Keeper) putAll(known []answer) error {
	for _, a := range known {
		if a.err != nil {
			continue
		}
		if err := k.set.Put(a.rank, a.Identity); err != nil {
			return fmt.Errorf("container %s: %w", a.ID, err)
		}
	}
	return nil
}

// Close ends the keeper and closes the runtimes. The set stays as it is.
func (k *Keeper) Close() error {
	k.cancel()
	k.running.Wait()
	k.forget()
	errs := []error{k.ends.close()}
	for _, rt := range k.runtimes {
		errs = append(errs, rt.Close())
	}
	return errors.Join(errs...)
}

// endIfGone ends a container whose first process is gone. Runtimes also report the end of the container's other processes.
func (s *Set) endIfGone(id string) {
	s.mu.Lock()
	m := s.live[id]
	s.mu.Unlock()
	if m == nil {
		return
	}
	if proc, err := readProcessOf(m.PID); err != nil || proc.began != m.Began {
		s.endOf(m.Container)
	}
}

// endOf ends a container, unless another container has its id by now.
func (s *Set) endOf(c *Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.live[c.ID]; m != nil && m.Began == c.Began {
		s.end(m)
	}
}

// ends reports when the first processes of containers end. The kernel wakes it; it never polls.
type ends struct {
	ended func(*Container)
	epoll int
	wake  int // an eventfd that ends the waiting
	done  chan struct{}

	mu      sync.Mutex
	watched map[int32]*Container // by the descriptor of the process
}

func newEnds(ended func(*Container)) (*ends, error) {
	e := &ends{ended: ended, done: make(chan struct{}), watched: make(map[int32]*Container)}
	var err error
	if e.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("watch containers: %w", err)
	}
	if e.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		unix.Close(e.epoll)
		return nil, fmt.Errorf("watch containers: %w", err)
	}
	if err := e.add(e.wake); err != nil {
		unix.Close(e.wake)
		unix.Close(e.epoll)
		return nil, fmt.Errorf("watch containers: %w", err)
	}
	go e.run()
	return e, nil
}

func (e *ends) add(fd int) error {
	return unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// note starts to watch each new container.
func (e *ends) note(n Notice) {
	if n.Ended || n.Was != nil && n.Was.Began == n.Began {
		return
	}
	fd, err := unix.PidfdOpen(n.PID, 0) // since Linux 5.3; otherwise the runtimes report the end
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.add(fd) != nil {
		unix.Close(fd)
		return
	}
	e.watched[int32(fd)] = n.Container
}

// afterSignal is how long to stay out of system calls after a signal has interrupted one: docs/RATIONALE.md.
const afterSignal = 20 * time.Millisecond

func (e *ends) run() {
	defer close(e.done)
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(e.epoll, events[:], -1)
		if errors.Is(err, unix.EINTR) {
			time.Sleep(afterSignal)
			continue
		}
		if err != nil {
			return
		}
		for _, event := range events[:n] {
			if event.Fd == int32(e.wake) {
				return
			}
			e.mu.Lock()
			c := e.watched[event.Fd]
			delete(e.watched, event.Fd)
			e.mu.Unlock()
			unix.Close(int(event.Fd))
			if c != nil {
				e.ended(c)
			}
		}
	}
}

func (e *ends) close() error {
	_, err := unix.Write(e.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		return err
	}
	<-e.done
	for fd := range e.watched {
		unix.Close(int(fd))
	}
	return errors.Join(unix.Close(e.wake), unix.Close(e.epoll))
}
