// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Grace is how long events from before its end still find a container that has ended, and how long a handle stays valid
// after it was returned for the last time.
const Grace = 10 * time.Minute

// Set has the known containers of this machine. The runs of one process share it. Its zero value is not
// usable: see NewSet. Several goroutines may call all methods at once.
type Set struct {
	mounts, nets owners
	known        records
	hostNet      uint64
	hostMount    uint64
	node         string
	now          func() int64 // nanoseconds since boot

	mu          sync.Mutex // guards what follows, and changes of the above
	live        map[string]*member
	past        []past // in the order of time
	inNet       map[uint64][]*member
	subscribers []*subscriber
	announced   []*func(Identity) // see OnAnnounced
	sweep       *time.Timer       // nil: nothing waits for its grace to be over
}

// past is something that was current until some time: a container that has ended, or a handle that was returned.
type past struct {
	until          int64
	handle         event.Handle
	mountNS, netNS uint64 // of a container that has ended
}

// member is a container of the set. Its Container is replaced, never changed.
type member struct {
	*Container
	handle  event.Handle
	sources []source // the knowledge of each source, the best one first
}

// source is what one source knows about a container.
type source struct {
	rank int
	Identity
}

type subscriber struct{ tell func(Notice) }

// Notice tells a subscriber of a set about a change of a container.
type Notice struct {
	*Container
	Handle event.Handle
	// Was is the container as the set knew it before; nil if it is new.
	Was *Container
	// Ended says that the container has ended. It comes once for each container.
	Ended bool
}

// NewSet returns an empty set. It takes the namespaces of the calling process for those of the host. node is the name of the
// Kubernetes node, if the machine is one.
func NewSet(node string) *Set {
	host, _ := readProcess("self") // without /proc it finds no container either
	return &Set{
		hostMount: host.mountNS, hostNet: host.netNS, node: node, now: bootTime,
		live: make(map[string]*member), inNet: make(map[uint64][]*member),
	}
}

// bootTime returns the time since boot as BPF programs read it, except for the shift of a time namespace.
func bootTime() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return ts.Nano()
}

// Find returns the handle of the container that had the mount namespace with this inode number at a time since boot in
// nanoseconds; 0 if it knows none. The time 0 means the latest container. Find takes no lock and allocates nothing.
func (s *Set) Find(mountNS uint64, at int64) event.Handle { return s.mounts.find(mountNS, at) }

// FindNet is Find for a network namespace. If several containers share it, the handle is that of what they have in
// common: the pod.
func (s *Set) FindNet(netNS uint64, at int64) event.Handle { return s.nets.find(netNS, at) }

// Finder finds the containers of events, for one goroutine. It returns what the methods of its set return, and is faster where many
// events are of few containers.
type Finder struct{ mounts, nets finder }

// Finder returns a finder.
func (s *Set) Finder() *Finder {
	return &Finder{mounts: finder{owners: &s.mounts}, nets: finder{owners: &s.nets}}
}

// FindsNone reports whether the set has known no container yet that has a namespace of its own: until then, the other methods return 0
// for each number.
func (f *Finder) FindsNone() bool {
	return f.mounts.owners.table.Load() == nil && f.nets.owners.table.Load() == nil
}

// Find does what [Set.Find] does.
func (f *Finder) Find(mountNS uint64, at int64) event.Handle { return f.mounts.find(mountNS, at) }

// FindNet does what [Set.FindNet] does.
func (f *Finder) FindNet(netNS uint64, at int64) event.Handle { return f.nets.find(netNS, at) }

// At returns the container of a handle; nil if there is none, or if it ended long ago.
func (s *Set) At(h event.Handle) *Container {
	if r := s.known.at(h); r != nil {
		return r.Container
	}
	return nil
}

// All returns the living containers, ordered by runtime, name and id.
func (s *Set) All() []*Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Container
	for _, m := range s.live {
		all = append(all, m.Container)
	}
	slices.SortFunc(all, (*Container).Compare)
	return all
}

// knows reports whether a container with this id lives.
func (s *Set) knows(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id] != nil
}

// Subscribe calls tell for each living container, in the order of All, then for each container that starts, changes or ends, until the caller calls the
// returned function. Calls come one after the other; tell may call only the methods Find, FindNet and At of the set.
func (s *Set) Subscribe(tell func(Notice)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &subscriber{tell}
	s.subscribers = append(s.subscribers, sub)
	all := slices.SortedFunc(maps.Values(s.live), func(a, b *member) int { return a.Compare(b.Container) })
	for _, m := range all {
		tell(Notice{Container: m.Container, Handle: m.handle})
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.subscribers = slices.DeleteFunc(s.subscribers, func(o *subscriber) bool { return o == sub })
	}
}

// Put adds a container, or completes a known one, and returns when all subscribers know. Several sources may
// know the same container: the one with the highest rank overrides the others. The PID must be that of the first process,
// or 0 for a container that the set knows already. Put returns an error if that process is gone.
func (s *Set) Put(rank int, id Identity) error {
	proc, err := readProcessOf(id.PID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.live[id.ID]
	if m != nil && proc.began != m.Began && rank < m.sources[0].rank && m.runs() {
		id.PID, proc = m.PID, process{} // the better source knows which process is the first
	}
	if m != nil && proc.began != 0 && m.Began != proc.began {
		s.end(m) // the container was started again
		m = nil
	}
	if m == nil {
		if id.PID == 0 {
			return ErrUnknown
		}
		m = &member{}
		s.live[id.ID] = m
	}
	m.learn(rank, id)
	s.publish(m, proc)
	return nil
}

// runs reports whether the first process of a member still runs.
func (m *member) runs() bool {
	proc, err := readProcessOf(m.PID)
	return err == nil && m.PID != 0 && proc.began == m.Began
}

// learn stores the knowledge of a source and keeps the sources in order.
func (m *member) learn(rank int, id Identity) {
	m.sources = slices.DeleteFunc(m.sources, func(o source) bool { return o.rank == rank })
	m.sources = append(m.sources, source{rank, id})
	slices.SortFunc(m.sources, func(a, b source) int { return cmp.Compare(b.rank, a.rank) })
}

// publish makes the knowledge about a member visible.
func (s *Set) publish(m *member, proc process) {
	c := &Container{Identity: m.sources[0].Identity}
	for i := range m.sources[1:] {
		c.completedBy(&m.sources[1+i].Identity)
	}
	if was := m.Container; was != nil && proc.began == 0 {
		c.MountNS, c.NetNS, c.HostNetwork, c.Cgroup, c.Began = was.MountNS, was.NetNS, was.HostNetwork, was.Cgroup, was.Began
		c.CgroupID = was.CgroupID
	} else {
		c.MountNS, c.NetNS, c.HostNetwork, c.Cgroup, c.Began = proc.mountNS, proc.netNS, proc.netNS == s.hostNet, proc.cgroup.path, proc.began
		c.CgroupID = proc.cgroup.id
	}
	if c.InPod() {
		c.Node = s.node
	}
	was := m.Container
	if was != nil && was.equal(c) {
		return
	}
	s.retire(past{handle: m.handle})
	m.Container, m.handle = c, s.known.add(c)
	s.own(m, was)
	s.tell(Notice{Container: c, Handle: m.handle, Was: was})
}

// own puts a member into the tables of namespaces. Namespaces of the host belong to no container.
func (s *Set) own(m *member, was *Container) {
	if m.MountNS != s.hostMount {
		from, chain := m.Began, s.mounts.chain(m.MountNS)
		switch {
		case len(chain) == 0:
		case chain[0].id == m.ID && chain[0].to.Load() == 0:
			from, chain = chain[0].from, chain[1:]
		default:
			from = s.after(chain[0], m.Began)
		}
		s.mounts.set(m.MountNS, link(append([]*owner{{handle: m.handle, id: m.ID, from: from}}, chain...)))
	}
	if m.HostNetwork {
		return
	}
	if was == nil {
		s.inNet[m.NetNS] = append(s.inNet[m.NetNS], m)
	}
	s.ownNet(m.NetNS)
}

// after returns since when a container has had a number that another one had before. A container's first process begins before it
// has a namespace of its own: until the other one ended, the number was still the other's.
func (s *Set) after(other *owner, began int64) (from int64) {
	if to := other.to.Load(); to != 0 {
		return max(began, to)
	}
	// The other one has ended, too, but its end is not known yet. Events from between may be of either.
	other.to.Store(began)
	return s.now()
}

// ownNet decides which container owns a network namespace.
func (s *Set) ownNet(netNS uint64) {
	members := s.inNet[netNS]
	chain := s.nets.chain(netNS)
	var current *owner // that of the members, if there is one already
	if len(chain) > 0 && chain[0].to.Load() == 0 {
		current, chain = chain[0], chain[1:]
	}
	if current != nil && s.known.at(current.handle).ID == "" {
		s.retire(past{handle: current.handle})
	}
	if len(members) == 0 {
		delete(s.inNet, netNS)
		if current != nil {
			current.to.Store(s.now())
		}
		return
	}
	from := members[0].Began
	for _, m := range members {
		from = min(from, m.Began)
	}
	if len(chain) > 0 {
		from = s.after(chain[0], from)
	}
	s.nets.set(netNS, link(append([]*owner{{handle: s.common(members), from: from}}, chain...)))
}

// common returns the handle for what the containers of one network namespace have in common. Sandboxes do nothing in it, so
// if there is one other container, the handle is that container's.
func (s *Set) common(members []*member) event.Handle {
	var real []*member
	for _, m := range members {
		if !m.Pod.Sandbox {
			real = append(real, m)
		}
	}
	if len(real) == 0 {
		real = members
	}
	if len(real) == 1 {
		return real[0].handle
	}
	c := &Container{NetNS: real[0].NetNS}
	c.Runtime, c.Pod = real[0].Runtime, real[0].Pod
	c.Pod.Container, c.Pod.Sandbox = "", false
	for _, m := range real[1:] {
		if m.Runtime != c.Runtime {
			c.Runtime = ""
		}
		if m.Pod.UID != c.Pod.UID || m.Pod.Name != c.Pod.Name {
			c.Pod = Pod{}
		}
	}
	return s.known.add(c)
}

// End says that a container has ended. Events from before its end still find it.
func (s *Set) End(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.live[id]; m != nil {
		s.end(m)
	}
}

func (s *Set) end(m *member) {
	delete(s.live, m.ID)
	now := s.now()
	for _, o := range s.mounts.chain(m.MountNS) {
		if o.id == m.ID && o.to.Load() == 0 {
			o.to.Store(now)
		}
	}
	if !m.HostNetwork {
		s.inNet[m.NetNS] = slices.DeleteFunc(s.inNet[m.NetNS], func(o *member) bool { return o == m })
		s.ownNet(m.NetNS)
	}
	s.retire(past{handle: m.handle, mountNS: m.MountNS, netNS: m.NetNS})
	s.tell(Notice{Container: m.Container, Handle: m.handle, Was: m.Container, Ended: true})
}

// retire stores something that is not current any more, so that the set forgets it after its grace.
func (s *Set) retire(p past) {
	if p.handle == 0 {
		return
	}
	p.until = s.now()
	s.past = append(s.past, p)
	if s.sweep == nil {
		s.sweep = time.AfterFunc(Grace, s.forget)
	}
}

// forget drops everything whose grace is over.
func (s *Set) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.now() - int64(Grace)
	for len(s.past) > 0 && s.past[0].until <= before {
		p := s.past[0]
		s.past = s.past[1:]
		s.disown(&s.mounts, p.mountNS, before)
		s.disown(&s.nets, p.netNS, before)
		s.known.release(p.handle)
	}
	s.sweep = nil
	if len(s.past) > 0 {
		s.sweep = time.AfterFunc(time.Duration(s.past[0].until-before), s.forget)
	}
}

// disown removes from a chain the owners that ended before a time.
func (s *Set) disown(o *owners, ns uint64, before int64) {
	chain := o.chain(ns)
	kept := slices.DeleteFunc(slices.Clone(chain), func(own *owner) bool {
		to := own.to.Load()
		return to != 0 && to <= before
	})
	if len(kept) < len(chain) {
		o.set(ns, link(kept))
	}
}

func (s *Set) tell(n Notice) {
	for _, sub := range s.subscribers {
		sub.tell(n)
	}
}

// Close stops the timer of the set. The set can still be read.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sweep != nil {
		s.sweep.Stop()
	}
}
