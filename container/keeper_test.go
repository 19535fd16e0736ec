// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeRuntime is a runtime whose answers the test decides.
type fakeRuntime struct {
	name, socket string

	mu         sync.Mutex
	containers map[string]Identity
	watchers   []chan Change
	lost       []func()
	hangs      bool
	lacks      bool // the interface
	calls      int
}

func (f *fakeRuntime) Name() string   { return f.name }
func (f *fakeRuntime) Rank() int      { return RankHigh }
func (f *fakeRuntime) Socket() string { return f.socket }
func (f *fakeRuntime) Close() error   { return nil }

func (f *fakeRuntime) List(context.Context) (all []Identity, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.containers {
		all = append(all, id)
	}
	return all, nil
}

func (f *fakeRuntime) Get(ctx context.Context, id string) (Identity, error) {
	f.mu.Lock()
	hangs := f.hangs
	found, ok := f.containers[id]
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return Identity{}, ctx.Err()
	}
	if !ok {
		return found, ErrUnknown
	}
	return found, nil
}

func (f *fakeRuntime) Watch(ctx context.Context, ready func(), changed func(Change)) error {
	if _, err := os.Stat(f.socket); err != nil {
		f.mu.Lock()
		f.calls++
		f.mu.Unlock()
		return err
	}
	changes := make(chan Change, 10)
	ctx, lose := context.WithCancel(ctx)
	f.mu.Lock()
	hangs, lacks := f.hangs, f.lacks
	f.calls++
	f.watchers, f.lost = append(f.watchers, changes), append(f.lost, lose)
	f.mu.Unlock()
	if lacks {
		return fmt.Errorf("a service is missing: %w", errors.ErrUnsupported)
	}
	if !hangs {
		ready()
	}
	for {
		select {
		case <-ctx.Done():
			return errors.New("the connection is lost")
		case c := <-changes:
			changed(c)
		}
	}
}

// put adds a container and, if told is set, reports that it has started.
func (f *fakeRuntime) put(id Identity, told bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.containers == nil {
		f.containers = make(map[string]Identity)
	}
	f.containers[id.ID] = id
	if told {
		for _, w := range f.watchers {
			w <- Change{ID: id.ID}
		}
	}
}

func (f *fakeRuntime) loseConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lose := range f.lost {
		lose()
	}
	f.watchers, f.lost = nil, nil
}

func newFake(t *testing.T, name string) *fakeRuntime {
	t.Helper()
	f := &fakeRuntime{name: name, socket: filepath.Join(t.TempDir(), "sub", "socket")}
	f.appear(t)
	return f
}

func (f *fakeRuntime) appear(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func startKeeper(t *testing.T, runtimes ...Runtime) (*Set, *Keeper) {
	t.Helper()
	set := NewSet("")
	k, err := NewKeeper(set, slog.New(slog.NewTextHandler(io.Discard, nil)), runtimes...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		set.Close()
	})
	k.Start()
	return set, k
}

func names(s *Set) string {
	var all []string
	for _, c := range s.All() {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func eventually(t *testing.T, s *Set, want string) {
	t.Helper()
	eventuallyIs(t, want, func() string { return names(s) })
}

func eventuallyIs(t *testing.T, want string, is func() string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if is() == want {
			return
		}
	}
	t.Fatalf("it is %q, want %q", is(), want)
}

func TestKeeperFollowsRuntimes(t *testing.T) {
	t.Parallel()
	one, two := newFake(t, "one"), newFake(t, "two")
	first, second := aProcess(t, 0), aProcess(t, 0)
	one.put(Identity{ID: "a", Name: "first", PID: first.Process.Pid}, false)
	set, k := startKeeper(t, one, two)
	if got := names(set); got != "first" {
		t.Errorf("after Start: %q", got)
	}
	connected := k.Connected()
	slices.Sort(connected)
	if fmt.Sprint(connected) != "[one two]" {
		t.Errorf("connected to %v", connected)
	}
	two.put(Identity{ID: "b", Name: "second", PID: second.Process.Pid}, true)
	eventually(t, set, "first second")
	_ = second.Process.Kill() // the kernel reports it
	eventually(t, set, "first")
}

// Containers start and end while the keeper has no connection.
func TestKeeperConnectsAgain(t *testing.T) {
	t.Parallel()
	f := newFake(t, "one")
	first, second := aProcess(t, 0), aProcess(t, 0)
	f.put(Identity{ID: "a", Name: "first", PID: first.Process.Pid}, false)
	set, _ := startKeeper(t, f)
	f.loseConnections()
	f.put(Identity{ID: "b", Name: "second", PID: second.Process.Pid}, false)
	eventually(t, set, "first second")
}

// A missing runtime costs nothing, and the keeper asks it as soon as its socket appears, whichever folders are missing.
func TestKeeperWaitsForSockets(t *testing.T) {
	t.Parallel()
	f := &fakeRuntime{name: "late", socket: filepath.Join(t.TempDir(), "run", "late", "late.sock")}
	p := aProcess(t, 0)
	f.put(Identity{ID: "a", Name: "late", PID: p.Process.Pid}, false)
	start := time.Now()
	set, k := startKeeper(t, f)
	if took := time.Since(start); took > Patience/2 {
		t.Errorf("Start has waited %v for nothing", took)
	}
	time.Sleep(3 * shortestPause)
	if f.mu.Lock(); f.calls != 1 {
		t.Errorf("it was asked %d times without a socket", f.calls)
	}
	f.mu.Unlock()
	f.appear(t)
	eventually(t, set, "late")
	// The runtime has answered once all its containers are in the set.
	eventuallyIs(t, "[late]", func() string { return fmt.Sprint(k.Connected()) })
}

// The keeper does not ask a runtime that lacks the interface again until the runtime is restarted.
func TestKeeperLeavesRuntimesAlone(t *testing.T) {
	t.Parallel()
	f := newFake(t, "old")
	f.lacks = true
	p := aProcess(t, 0)
	f.put(Identity{ID: "a", Name: "new", PID: p.Process.Pid}, false)
	start := time.Now()
	set, _ := startKeeper(t, f)
	if took := time.Since(start); took > Patience/2 {
		t.Errorf("Start has waited %v for nothing", took)
	}
	time.Sleep(3 * shortestPause)
	f.mu.Lock()
	if f.calls != 1 {
		t.Errorf("the keeper asked %d times, want once", f.calls)
	}
	f.lacks = false
	f.mu.Unlock()
	if err := os.Remove(f.socket); err != nil {
		t.Fatal(err)
	}
	f.appear(t)
	eventually(t, set, "new")
}

func TestKeeperWaitsNoLongerThanPatience(t *testing.T) {
	t.Parallel()
	f := newFake(t, "hangs")
	f.hangs = true
	start := time.Now()
	_, k := startKeeper(t, f)
	if took := time.Since(start); took < Patience || took > Patience+5*time.Second {
		t.Errorf("Start took %v, want %v", took, Patience)
	}
	if len(k.Connected()) != 0 {
		t.Errorf("connected to %v", k.Connected())
	}
}

// The keeper asks again about containers whose first process the runtime does not know yet, until they have one or are gone.
func TestKeeperAsksAgain(t *testing.T) {
	t.Parallel()
	f := newFake(t, "one")
	late, other := aProcess(t, 0), aProcess(t, 0)
	f.put(Identity{ID: "a", Name: "late"}, false)
	f.put(Identity{ID: "b", Name: "gone"}, false)
	set, _ := startKeeper(t, f)
	if got := names(set); got != "" {
		t.Errorf("after Start: %q", got)
	}
	f.put(Identity{ID: "c", Name: "told", PID: other.Process.Pid}, true) // meanwhile, changes are handled
	eventually(t, set, "told")
	f.mu.Lock()
	delete(f.containers, "b")
	f.mu.Unlock()
	f.put(Identity{ID: "a", Name: "late", PID: late.Process.Pid}, false)
	eventually(t, set, "late told")
}

// A container that is held up before it runs is known with its name when Created returns, and in time if a runtime hangs.
func TestCreatedAsksTheRuntimes(t *testing.T) {
	t.Parallel()
	f, hangs := newFake(t, "one"), newFake(t, "two")
	set, k := startKeeper(t, f, hangs)
	hangs.mu.Lock()
	hangs.hangs = true
	hangs.mu.Unlock()
	p := aProcess(t, 0)
	f.put(Identity{ID: "a", Name: "web", Image: "nginx:1"}, false) // which does not run yet
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := k.Created(ctx, Identity{Runtime: "runc", ID: "a", Name: "a", PID: p.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	all := set.All()
	if len(all) != 1 || all[0].Name != "web" || all[0].Image != "nginx:1" || all[0].PID != p.Process.Pid {
		t.Errorf("got %+v", all)
	}
	if err := k.Created(ctx, Identity{ID: "b", PID: 1 << 30}); err == nil {
		t.Error("a container without a process was taken")
	}
}

func TestKeeperLeavesNothingBehind(t *testing.T) {
	before, files := runtime.NumGoroutine(), openFiles(t)
	for range 5 {
		func() {
			f, absent := newFake(t, "one"), &fakeRuntime{name: "absent", socket: filepath.Join(t.TempDir(), "s")}
			f.put(Identity{ID: "a", Name: "first", PID: aProcess(t, 0).Process.Pid}, false)
			set := NewSet("")
			k, err := NewKeeper(set, slog.New(slog.NewTextHandler(io.Discard, nil)), f, absent)
			if err != nil {
				t.Fatal(err)
			}
			k.Start()
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			set.Close()
		}()
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		goroutines, open := runtime.NumGoroutine()-before, openFiles(t)-files-5 // a pidfd of each command of the test
		if goroutines <= 0 && open <= 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d files were left behind", goroutines, open)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
