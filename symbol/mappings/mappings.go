// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package mappings knows which file was mapped where in which process at which time. It follows what processes do by the side-band of perf
// events, and opens the files at once, so that it knows about processes and files that are gone.
//
// A program opens a [Tracker] before it attaches what asks for stacks, and only if there is something that does.
package mappings

import (
	"bytes"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
)

// Options are what a caller may choose. The zero value is good.
type Options struct {
	// Keep is how long the past is known: that of a process that has ended, and that of a mapping that was replaced. Events must be
	// looked up before that. 0: 5 seconds.
	Keep time.Duration
	// OpenFiles is how many files are open at most. 0: 256; at least 8.
	OpenFiles int
	// Wait is how long Resolve waits for a file that has not been opened yet. 0: 200 ms.
	Wait time.Duration
	// WithoutPerf asks for no perf events: gizmo reads in /proc what a process has mapped when it first looks the process up.
	WithoutPerf bool

	maxSpaces, maxMappings, maxForProcess, maxFiles, ringSize int
	online                                                    func() ([]int, error) // the CPUs
}

// complete fills in what the caller did not choose. With these limits, address spaces and mappings take at most some 15 MiB (TestMemory).
func (o *Options) complete() {
	defaults := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	defaults(&o.OpenFiles, 256)
	o.OpenFiles = max(o.OpenFiles, 8)
	defaults(&o.maxSpaces, 1<<15)
	defaults(&o.maxMappings, 1<<17)
	defaults(&o.maxForProcess, 1<<13)
	defaults(&o.maxFiles, 1<<14)
	if o.online == nil {
		o.online = cpus.Online
	}
	if o.Keep <= 0 {
		o.Keep = 5 * time.Second
	}
	if o.Wait <= 0 {
		o.Wait = 200 * time.Millisecond
	}
}

// Kind is what an address belongs to.
type Kind uint8

const (
	// Unknown is an address in no mapping that gizmo knows.
	Unknown Kind = iota
	// InFile is an address in a file.
	InFile
	// VDSO is an address in the code that the kernel maps into each process.
	VDSO
	// Anonymous is an address in memory without a file, into which the process itself wrote code.
	Anonymous
)

// Place is what an address belongs to.
type Place struct {
	Kind Kind
	// File is set if Kind is InFile.
	File *File
	// Offset is the place in the file, or in the VDSO.
	Offset uint64
	// Process is set if Kind is Anonymous, or if the file is in memory only, and the process ran when gizmo looked.
	Process *Process

	file *file
}

// Stats counts what a tracker did. The first group says what is missing.
type Stats struct {
	// Lost counts records of the kernel that did not fit into the rings. Then gizmo reads in /proc what processes have mapped.
	Lost uint64
	// RefusedProcesses, RefusedMappings and RefusedFiles count what the limits left no room for.
	RefusedProcesses, RefusedMappings, RefusedFiles uint64
	// FailedFiles counts attempts to open a file that was gone, or that is no file with contents.
	FailedFiles uint64
	// Doubtful counts look-ups that found nothing because lost records may have changed it, or because the event is from another
	// process with the same PID.
	Doubtful uint64

	// Records counts records of the kernel, OpenedFiles and ClosedFiles count files that gizmo opened, and that it closed again because
	// too many were open.
	Records, OpenedFiles, ClosedFiles uint64
	// Processes, Mappings, Files and OpenFiles are what gizmo knows now.
	Processes, Mappings, Files, OpenFiles int
}

// Tracker follows what processes map. Its methods may be called from any goroutine.
type Tracker struct {
	options  Options
	degraded error
	files    *files
	epoll    int
	wake     int // an eventfd
	ended    chan struct{}
	closing  atomic.Bool

	mu       sync.Mutex
	rings    []*ring
	state    *state
	maps     mapsReader
	drained  uint64 // when the rings were last read
	records  uint64
	doubtful uint64
	rescued  time.Time     // when processes were last read again after a loss
	online   []int         // the CPUs that the rings are of
	watched  uint64        // when that was last compared
	slept    time.Duration // how long the machine had slept then
	closed   bool
}

// Open begins to follow what all processes map, and reads what they have mapped. Call it before the programs attach whose
// events are to be looked up. If the kernel allows no perf events, Open succeeds, and [Tracker.Degraded] says why.
//
// After Open the tracker needs no CAP_PERFMON and no perf_event_open(2), unless CPUs come online. To read what processes of other users map, and to open
// their files, it needs CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE (or CAP_SYS_ADMIN) and CAP_DAC_READ_SEARCH for as long as it runs. Without
// them it knows less of such processes, or the paths of files and not their contents.
func Open(o Options) (*Tracker, error) {
	o.complete()
	t := &Tracker{options: o, state: newState(&o), ended: make(chan struct{})}
	if !o.WithoutPerf {
		var err error
		if t.online, err = o.online(); err != nil {
			return nil, err
		}
		t.watched, t.slept = bootTime(), sleptTime()
		t.rings, t.degraded = openRings(t.online, o.ringSize)
	}
	if err := t.openEpoll(); err != nil {
		closeRings(t.rings)
		return nil, err
	}
	t.files = newFiles(&o, t.ancestors)
	if t.following() {
		if err := t.scan(); err != nil {
			close(t.ended)
			t.Close()
			return nil, err
		}
	}
	go t.run()
	return t, nil
}

// Degraded returns why gizmo cannot follow processes by perf events; nil if it does, or was told not to. Then it reads in /proc what a process
// has mapped when it first looks the process up, so it knows nothing of processes that are gone by then. The caller shows it as a warning.
func (t *Tracker) Degraded() error { return t.degraded }

// following says that gizmo follows processes by perf events.
func (t *Tracker) following() bool { return len(t.rings) > 0 }

// Close ends the tracker. All its files are closed after that.
func (t *Tracker) Close() error {
	if t.closing.Swap(true) {
		return nil
	}
	unix.Write(t.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // a number that is not 0, on any machine
	<-t.ended
	t.mu.Lock()
	t.closed = true
	closeRings(t.rings)
	t.mu.Unlock()
	t.files.close()
	unix.Close(t.epoll)
	unix.Close(t.wake)
	return nil
}

// Stats returns the counters.
func (t *Tracker) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files.mu.Lock()
	defer t.files.mu.Unlock()
	c := &t.files.counts
	return Stats{
		Lost: t.state.lost, RefusedProcesses: t.state.refusedProcesses, RefusedMappings: t.state.refusedMappings,
		RefusedFiles: c.refused.Load(), FailedFiles: c.failed.Load(), Doubtful: t.doubtful,
		Records: t.records, OpenedFiles: c.opened.Load(), ClosedFiles: c.evicted.Load(),
		Processes: len(t.state.procs), Mappings: t.state.mappings, Files: len(t.files.table), OpenFiles: len(t.files.open),
	}
}

// openEpoll prepares to wait for all rings.
func (t *Tracker) openEpoll() (err error) {
	t.epoll, t.wake = -1, -1
	defer func() {
		if err != nil {
			unix.Close(t.epoll)
			unix.Close(t.wake)
		}
	}()
	if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := t.waitFor(t.wake); err != nil {
		return err
	}
	return t.waitForRings()
}

func (t *Tracker) waitForRings() error {
	for _, r := range t.rings {
		if err := t.waitFor(r.fd); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) waitFor(fd int) error {
	err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

const (
	// nap is how long gizmo leaves the rings alone after it read them. longNap follows if there are more than busyRate records a second:
	// it bounds the number of wake-ups while many processes start, which cost more than the records.
	nap, longNap = time.Millisecond, 10 * time.Millisecond
	busyRate     = 2000
	// idle is how long it waits for enough records to be woken.
	idle = 100 * time.Millisecond
	// cleanEvery is how often it forgets the past.
	cleanEvery = 2 * time.Second
)

func (t *Tracker) run() {
	defer close(t.ended)
	events := make([]unix.EpollEvent, 16)
	cleaned, last, records := time.Now(), time.Now(), uint64(0)
	for !t.closing.Load() {
		unix.EpollWait(t.epoll, events, int(idle/time.Millisecond)) // whatever it returns: the rings are read
		t.mu.Lock()
		t.drain(0)
		t.rescue()
		if time.Since(cleaned) > cleanEvery {
			cleaned = time.Now()
			t.followCPUs()
			t.clean()
		}
		sleep := nap
		if float64(t.records-records) > busyRate*time.Since(last).Seconds() {
			sleep = longNap
		}
		last, records = time.Now(), t.records
		t.mu.Unlock()
		t.files.watch()
		if t.following() && !t.closing.Load() {
			time.Sleep(sleep)
		}
	}
}

// drain reads all rings, and applies the records up to that time, or what is certain to be complete.
func (t *Tracker) drain(until uint64) {
	if !t.following() {
		return
	}
	now := bootTime()
	t.drained = now
	for _, r := range t.rings {
		r.read(t.note)
	}
	t.state.apply(max(until, now-slack))
}

// note takes a record, and has the file of a mapping opened at once.
func (t *Tracker) note(r *rawRecord) {
	t.records++
	if r.kind == recordOther {
		return
	}
	rec := record{time: r.time, kind: r.kind, pid: r.pid, tid: r.tid, parent: r.parent}
	switch r.kind {
	case recordMap:
		rec.mapping, rec.forgotten = t.mapping(r)
	case recordLost:
		t.state.lost += r.lost
		rec.from = r.lo
	}
	t.state.pending = append(t.state.pending, rec)
}

// mapping describes a mapping. It returns true as well if there was no room for the file.
func (t *Tracker) mapping(r *rawRecord) (m mapping, forgotten bool) {
	m = mapping{lo: r.lo, hi: r.hi, offset: r.offset, born: r.time, kind: kindOf(r)}
	if m.kind != InFile {
		m.offset = 0
		return m, false
	}
	r.name = bytes.TrimSuffix(r.name, []byte(" (deleted)"))
	m.file = t.files.get(r)
	return m, m.file == nil
}

func kindOf(r *rawRecord) Kind {
	switch {
	case r.file.inode != 0 && len(r.name) > 0 && r.name[0] == '/':
		return InFile
	case string(r.name) == "[vdso]":
		return VDSO
	case string(r.name) == "[vsyscall]", string(r.name) == "[uprobes]":
		return Unknown // code of the kernel that has no names
	}
	return Anonymous
}

// followCPUs opens the side-band again if other CPUs are online than before, or the machine slept: then the kernel ended the events of all CPUs
// but one. What happened meanwhile is unknown.
func (t *Tracker) followCPUs() {
	if !t.following() {
		return
	}
	now, slept := bootTime(), sleptTime()
	online, err := t.options.online()
	if err != nil || slices.Equal(online, t.online) && slept-t.slept < idle {
		t.watched = now
		return
	}
	since := t.watched
	rings, err := openRings(online, t.options.ringSize)
	if err == nil {
		t.drain(always)
		closeRings(t.rings)
		t.rings, t.online, t.watched, t.slept = rings, online, now, slept
		err = t.waitForRings()
	}
	if err != nil {
		t.watched = since // the next call tries again
	}
	t.state.doubt(since)
}

// clean forgets the past, and files that no process has mapped.
func (t *Tracker) clean() {
	t.state.clean(bootTime(), t.state.keep)
	t.files.sweep(t.state.eachFile)
}

// ancestors returns the parents of a process, the nearest first.
func (t *Tracker) ancestors(pid uint32, to []uint32) []uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 8
	for range most {
		parent := t.state.parentOf(pid)
		if parent == 0 || parent == pid {
			break
		}
		to = append(to, parent)
		pid = parent
	}
	return to
}
