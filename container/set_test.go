// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// aProcess is a process that sleeps, in namespaces of its own where the test may make them.
func aProcess(t testing.TB, flags uintptr) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// fakeSet is a set of containers without processes, at a time that the test decides.
type fakeSet struct {
	*Set
	clock int64
}

func newFakeSet(t testing.TB) *fakeSet {
	t.Helper()
	f := &fakeSet{Set: NewSet("node-1"), clock: 1000}
	f.hostMount, f.hostNet, f.now = 1, 2, func() int64 { return f.clock }
	t.Cleanup(f.Close)
	return f
}

// start puts a container into the set that has these namespaces.
func (f *fakeSet) start(rank int, id Identity, mountNS, netNS uint64) {
	f.clock++
	f.startedAt(f.clock, rank, id, mountNS, netNS)
}

// startedAt is start for a container whose first process began at a time.
func (f *fakeSet) startedAt(began int64, rank int, id Identity, mountNS, netNS uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.live[id.ID]
	if m == nil {
		m = &member{}
		f.live[id.ID] = m
	}
	m.learn(rank, id)
	f.publish(m, process{mountNS: mountNS, netNS: netNS, began: began, cgroup: cgroup{"/" + id.ID, uint64(len(id.ID))}})
}

func (f *fakeSet) name(h event.Handle) string {
	if c := f.At(h); c != nil {
		return c.Name
	}
	return ""
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	finder := f.Finder()
	if !finder.FindsNone() || finder.Find(10, 0) != 0 {
		t.Error("an empty set finds something")
	}
	f.start(RankHigh, Identity{ID: "a", Name: "first"}, 10, 20)
	if finder.FindsNone() || f.name(finder.Find(10, 0)) != "first" {
		t.Error("the finder finds nothing")
	}
	began := f.clock
	for at, want := range map[int64]string{0: "first", began: "first", began + 1e9: "first", began - 1: ""} {
		if got := f.name(f.Find(10, at)); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if got := f.name(f.FindNet(20, 0)); got != "first" {
		t.Errorf("by its network namespace: %q", got)
	}
	for _, number := range []uint64{0, 11, 20} {
		if h := f.Find(number, 0); h != 0 {
			t.Errorf("number %d belongs to %q", number, f.name(h))
		}
	}
}

// A container that shares the mount namespace of the host can be found by its network.
func TestFindByNetworkAlone(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "first"}, f.hostMount, 20)
	finder := f.Finder()
	if finder.FindsNone() || f.name(finder.FindNet(20, 0)) != "first" {
		t.Error("the finder finds nothing")
	}
}

// The kernel gives the number of a namespace away again. The time of an event decides whose it was.
func TestReusedNumbers(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "first"}, 10, 20)
	one := f.clock
	f.clock = 2000
	f.End("a")
	f.clock = 3000
	f.start(RankHigh, Identity{ID: "b", Name: "second"}, 10, 20)
	for at, want := range map[int64]string{one: "first", 2000: "first", 2001: "", 3000: "", 3001: "second", 0: "second"} {
		if got := f.name(f.Find(10, at)); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
		if got := f.name(f.FindNet(20, at)); got != want {
			t.Errorf("by network at %d: %q, want %q", at, got, want)
		}
	}
}

// The first process of a container begins before it has namespaces of its own: they may get the numbers of a container that ends
// meanwhile, whose last events stay its own.
func TestReusedNumbersOfAContainerThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		known bool // the end of the first container, before the second one is known
		want  map[int64]string
	}{
		"its end is known":         {true, map[int64]string{1999: "first", 2499: "first", 2500: "second", 4000: "second"}},
		"its end is not known yet": {false, map[int64]string{1999: "first", 2499: "", 2999: "", 3000: "second", 4000: "second"}},
	} {
		f := newFakeSet(t)
		f.start(RankHigh, Identity{ID: "a", Name: "first"}, 10, 20)
		if f.clock = 2500; c.known {
			f.End("a")
		}
		f.clock = 3000
		second := Identity{ID: "b", Name: "second"}
		f.startedAt(2000, RankHigh, second, 10, 21)
		f.clock = 3500
		f.End("a")
		second.Image = "nginx"
		f.startedAt(2000, RankLow, second, 10, 21) // which another source knows, too
		for at, want := range c.want {
			if got := f.name(f.Find(10, at)); got != want {
				t.Errorf("%s: at %d: %q, want %q", name, at, got, want)
			}
		}
	}
}

// The same for network namespaces.
func TestReusedNetworkOfAContainerThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "first"}, 10, 20)
	f.clock = 2500
	f.End("a")
	f.startedAt(2000, RankHigh, Identity{ID: "b", Name: "second"}, 11, 20)
	for at, want := range map[int64]string{1999: "first", 2499: "first", 2500: "second", 4000: "second"} {
		if got := f.name(f.FindNet(20, at)); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

// A container that has ended is found by late events until its grace is over, and then nothing is left of it.
func TestGrace(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "gone"}, 10, 20)
	h, began := f.Find(10, 0), f.clock
	f.clock = 5000
	f.End("a")
	f.clock += int64(Grace) - 1
	f.forget()
	if f.name(f.Find(10, began)) != "gone" || f.name(f.FindNet(20, began)) != "gone" || len(f.All()) != 0 {
		t.Error("it is forgotten before its time")
	}
	f.clock++
	f.forget()
	if f.Find(10, began) != 0 || f.FindNet(20, began) != 0 || f.At(h) != nil || len(f.past) > 0 || len(f.inNet) > 0 {
		t.Errorf("something is left: %d past, %d networks, %v", len(f.past), len(f.inNet), f.At(h))
	}
}

// A container that several sources know is one container.
func TestSourcesAreMerged(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	began := time.Unix(1e9, 0)
	f.start(RankLow, Identity{Runtime: "containerd", ID: "a", Name: "a", Image: "img", ImageDigest: "sha256:1"}, 10, 20)
	f.start(RankHigh, Identity{Runtime: "docker", ID: "a", Name: "web", StartedAt: began}, 10, 20)
	f.start(RankBundle, Identity{Runtime: "runc", ID: "a"}, 10, 20)
	all := f.All()
	if len(all) != 1 {
		t.Fatalf("%d containers", len(all))
	}
	c := all[0]
	if c.Runtime != "docker" || c.Name != "web" || c.Image != "img" || c.ImageDigest != "sha256:1" || !c.StartedAt.Equal(began) {
		t.Errorf("got %+v", c.Identity)
	}
	if f.At(f.Find(10, 0)) != c {
		t.Error("events find another one")
	}
}

// The source with the highest rank decides, whatever the order in which the sources answer. A source that knows that there
// are no labels decides that, too.
func TestSourcesHaveRanks(t *testing.T) {
	t.Parallel()
	sources := map[int]Identity{
		RankBundle: {Runtime: "bundle", Name: "bundle", StartedAt: time.Unix(1, 0)},
		RankLow:    {Runtime: "low", Name: "low", Image: "low", Labels: map[string]string{"of": "low"}},
		RankPods:   {Runtime: "pods", Name: "pods", Image: "pods", ImageDigest: "pods", Labels: map[string]string{}},
		RankHigh:   {Runtime: "high", Name: "high"},
	}
	for _, order := range [][]int{
		{RankBundle, RankLow, RankPods, RankHigh}, {RankHigh, RankPods, RankLow, RankBundle}, {RankPods, RankBundle, RankHigh, RankLow},
	} {
		f := newFakeSet(t)
		for i, rank := range order {
			id := sources[rank]
			id.ID = "a"
			f.start(rank, id, 10, 20)
			highest := sources[slices.Max(order[:i+1])]
			if c := f.All()[0]; c.Runtime != highest.Runtime || c.Name != highest.Name {
				t.Errorf("%v: got %+v after rank %d", order, c.Identity, rank)
			}
		}
		c := f.All()[0]
		if c.Image != "pods" || c.ImageDigest != "pods" || len(c.Labels) != 0 || !c.StartedAt.Equal(time.Unix(1, 0)) {
			t.Errorf("%v: got %+v", order, c.Identity)
		}
	}
}

func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	pod := Pod{Namespace: "shop", Name: "web-0", UID: "u"}
	sandbox, one, two := pod, pod, pod
	sandbox.Sandbox, one.Container, two.Container = true, "one", "two"
	f.start(RankHigh, Identity{Runtime: "containerd", ID: "s", Name: "web-0", Pod: sandbox}, 10, 20)
	f.start(RankHigh, Identity{Runtime: "containerd", ID: "a", Name: "one", Pod: one}, 11, 20)
	if got := f.At(f.FindNet(20, 0)); got.ID != "a" {
		t.Errorf("a sandbox and a container: %+v", got)
	}
	f.start(RankHigh, Identity{Runtime: "containerd", ID: "b", Name: "two", Pod: two}, 12, 20)
	if got := f.At(f.FindNet(20, 0)); got.ID != "" || got.Name != "" || got.Pod.Container != "" || got.Pod.Name != "web-0" || got.Runtime != "containerd" {
		t.Errorf("two containers of a pod: %+v", got.Identity)
	}
	f.start(RankHigh, Identity{Runtime: "docker", ID: "x", Name: "other"}, 13, 20)
	if got := f.At(f.FindNet(20, 0)); got.Pod.Name != "" || got.Runtime != "" {
		t.Errorf("with one of no pod: %+v", got.Identity)
	}
	f.End("x")
	f.End("b")
	if got := f.At(f.FindNet(20, 0)); got.ID != "a" {
		t.Errorf("after the others have ended: %+v", got)
	}
}

// The host's namespaces belong to no container, whatever runs in them.
func TestHostNamespaces(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "host", Pod: Pod{Name: "p"}}, 1, 2)
	if f.Find(1, 0) != 0 || f.FindNet(2, 0) != 0 {
		t.Error("the host's events are the container's")
	}
	if c := f.All()[0]; !c.HostNetwork {
		t.Error("it has the host's network")
	}
}

func TestSubscribers(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "one"}, 10, 20)
	var told []string
	stop := f.Subscribe(func(n Notice) {
		was := "-"
		if n.Was != nil {
			was = n.Was.Name
		}
		told = append(told, fmt.Sprint(n.Name, " ", was, " ", n.Ended))
		if !n.Ended && f.Find(n.MountNS, 0) != n.Handle {
			t.Errorf("%s is reported before events find it", n.Name)
		}
	})
	f.start(RankLow, Identity{ID: "b", Name: "two"}, 11, 21)
	f.start(RankHigh, Identity{ID: "b", Name: "three"}, 11, 21)
	f.End("b")
	f.End("b")
	stop()
	f.End("a")
	want := []string{"one - false", "two - false", "three two false", "three three true"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// A container that is started again has the same id and another first process.
func TestPutReadsTheKernel(t *testing.T) {
	t.Parallel()
	s := NewSet("")
	defer s.Close()
	first := aProcess(t, 0)
	if err := s.Put(RankHigh, Identity{ID: "a", Name: "x", PID: first.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	c := s.All()[0]
	var boot int64 = bootTime()
	if c.Began <= 0 || c.Began > boot || boot-c.Began > int64(time.Minute) || c.Cgroup == "" || !c.HostNetwork {
		t.Errorf("got %+v at %d", c, boot)
	}
	if err := s.Put(RankHigh, Identity{ID: "b"}); err == nil {
		t.Error("a container without a process was taken")
	}
	if err := s.Put(RankHigh, Identity{ID: "b", PID: 1 << 30}); err == nil {
		t.Error("a container whose process is gone was taken")
	}
	if n := len(s.All()); n != 1 {
		t.Errorf("%d containers", n)
	}
}

// A source that knows less cannot say that another process is the first, unless that one has ended.
func TestFirstProcessOfABetterSource(t *testing.T) {
	t.Parallel()
	set := NewSet("")
	defer set.Close()
	first, later := aProcess(t, 0), aProcess(t, 0)
	time.Sleep(20 * time.Millisecond) // the kernel counts starts in ticks
	put := func(rank int, cmd *exec.Cmd) {
		t.Helper()
		if err := set.Put(rank, Identity{ID: "a", Name: "web", PID: cmd.Process.Pid}); err != nil {
			t.Fatal(err)
		}
	}
	for first.Process.Pid == later.Process.Pid || began(t, first) == began(t, later) {
		later = aProcess(t, 0)
	}
	put(RankHigh, first)
	put(RankBundle, later)
	if all := set.All(); len(all) != 1 || all[0].PID != first.Process.Pid {
		t.Errorf("got %+v", all)
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	put(RankBundle, later)
	if all := set.All(); len(all) != 1 || all[0].PID != later.Process.Pid {
		t.Errorf("after the end of the first process: %+v", all)
	}
}

func began(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	stat, err := procstat.Read(fmt.Sprintf("/proc/%d", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return stat.Began
}

// Readers never see a number change hands, whatever else is put into the tables meanwhile.
func TestFindWhileContainersComeAndGo(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "stays", Name: "stays"}, 7, 8)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := f.name(f.Find(7, 0)); got != "stays" {
					t.Errorf("found %q", got)
					return
				}
			}
		})
	}
	for i := range 3000 {
		id := fmt.Sprint(i)
		f.start(RankHigh, Identity{ID: id, Name: id}, uint64(1000+i), uint64(1000+i))
		if got := f.name(f.Find(uint64(1000+i), 0)); got != id {
			t.Fatalf("found %q, want %s", got, id)
		}
		if i >= 10 {
			f.End(fmt.Sprint(i - 10))
		}
		if i%100 == 0 {
			f.clock += int64(Grace)
			f.forget()
		}
	}
	close(stop)
	readers.Wait()
}

func TestFindAllocatesNothing(t *testing.T) {
	f := newFakeSet(t)
	for i := range 100 {
		f.start(RankHigh, Identity{ID: fmt.Sprint(i)}, uint64(1000+i), uint64(2000+i))
	}
	if n := testing.AllocsPerRun(100, func() {
		for i := range uint64(100) {
			f.Find(1000+i, 5000)
			f.FindNet(2000+i, 0)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	f := newFakeSet(b)
	for i := range 10_000 {
		f.start(RankHigh, Identity{ID: fmt.Sprint(i)}, uint64(4026532000+i), uint64(4026592000+i))
	}
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		f.Find(uint64(4026532000+i%10_000), 1<<40)
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	f := newFakeSet(t)
	f.start(RankHigh, Identity{
		Runtime: "containerd", ID: "0123", Name: "web", Image: "nginx:1", ImageDigest: "sha256:ab", PID: 77, StartedAt: time.Unix(1e9, 5),
		Pod: Pod{Namespace: "shop", Name: "web-5d-x", UID: "u", Container: "front", Labels: map[string]string{"b": "2", "a": "1", "pod-template-hash": "5d"}},
	}, 10, 2)
	h := f.Find(10, 0)
	got := make(map[string]string)
	for i, field := range Fields() {
		table := f.Table(i)
		text := string(table.Bytes(h))
		if field.Kind != event.String {
			text = fmt.Sprint(table.Bits(h))
		}
		got[field.Name] = text
		if again := table.Bytes(h); len(again) > 0 && &again[0] != &table.Bytes(h)[0] {
			t.Errorf("the text of %s is made anew", field.Name)
		}
	}
	want := map[string]string{
		"runtime.runtimeName": "containerd", "runtime.containerName": "web", "runtime.containerId": "0123", "runtime.containerPid": "77",
		"runtime.containerImageName": "nginx:1", "runtime.containerImageDigest": "sha256:ab",
		"runtime.containerStartedAt": "2001-09-09T01:46:40.000000005Z",
		"k8s.node":                   "node-1", "k8s.namespace": "shop", "k8s.podName": "web-5d-x", "k8s.containerName": "front",
		"k8s.podLabels": "a=1,b=2,pod-template-hash=5d", "k8s.hostnetwork": "1", "k8s.owner.kind": "Deployment", "k8s.owner.name": "web",
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d fields, want %d", len(got), len(want))
	}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		labels string
		want   string
	}{
		"db-0":       {"statefulset.kubernetes.io/pod-name=db-0,controller-revision-hash=db-1", "StatefulSet db"},
		"agent-x7k2": {"controller-revision-hash=1", "DaemonSet agent"},
		"nightly-ab": {"batch.kubernetes.io/job-name=nightly", "Job nightly"},
		"alone":      {"", " "},
		"odd":        {"pod-template-hash=77", " "},
	} {
		p := Pod{Name: name, Labels: make(map[string]string)}
		for label := range strings.SplitSeq(c.labels, ",") {
			key, value, _ := strings.Cut(label, "=")
			p.Labels[key] = value
		}
		kind, owner := p.owner()
		if got := kind + " " + owner; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": " ", "0::/docker/a\n": "/docker/a ", "5:memory:/docker/a\n0::/\n": "/ /docker/a", "0::/x\n4:cpu,cpuacct:/y\n": "/x ", "junk\n": " ",
		"1:name=systemd:/s\n0::/with:colon\n": "/with:colon ",
	} {
		unified, memory := parseCgroup([]byte(text))
		if got := unified + " " + memory; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
