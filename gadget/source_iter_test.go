// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// sourceOf returns the source of a data source.
func (r *running) sourceOf(t testing.TB, name string) pipeline.Source {
	t.Helper()
	for _, src := range r.Sources() {
		if src.Schemas()[0].Name == name {
			return src
		}
	}
	t.Fatal("no data source", name)
	return nil
}

// pairs are the rows of an array of struct entry.
func pairs(t testing.TB, src pipeline.Source) [][2]uint64 {
	t.Helper()
	var b event.Batch
	if err := src.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	key, value := field(t, b.Schema, "key"), field(t, b.Schema, "value")
	var list [][2]uint64
	for _, row := range b.Rows {
		list = append(list, [2]uint64{key.Uint(row), value.Uint(row)})
	}
	return list
}

func loadIterators(t testing.TB, o LoadOptions) *running {
	t.Helper()
	return loadOwn(t, parse(t, "iterators"), o)
}

// loadOwn loads an image whose iterators show this process only.
func loadOwn(t testing.TB, img *image.Image, o LoadOptions) *running {
	t.Helper()
	o.Params = make(map[string]image.Value)
	setParam(t, img, o.Params, "only_pid", uint64(os.Getpid()))
	return load(t, img, o)
}

// walksMaps reports whether the kernel runs programs for the elements of maps. Where it forbids them the
// image, which has some, must be refused for just that.
func walksMaps(t *testing.T, img *image.Image) bool {
	t.Helper()
	forbidden := kerneltest.MapWalks(t)
	if forbidden == nil {
		return true
	}
	t.Log("the kernel forbids programs for the elements of maps:", forbidden)
	err := refusal(t, img, LoadOptions{})
	mustSay(t, err, ": the kernel refuses to load it: ", "; missing privileges, or this kernel or its lockdown forbids programs of kind iter/bpf_map_elem")
	named := slices.ContainsFunc(img.Programs, func(p image.Program) bool {
		return p.Target == "bpf_map_elem" && err != nil && strings.HasPrefix(err.Error(), "program "+p.Name+": ")
	})
	if !named || !errors.Is(err, unix.EPERM) || !errors.Is(err, ErrPrivileges) {
		t.Errorf("%v: names the program %v, wraps EPERM %v and ErrPrivileges %v", err, named, errors.Is(err, unix.EPERM), errors.Is(err, ErrPrivileges))
	}
	var rejected *VerifierError
	if errors.As(err, &rejected) {
		t.Errorf("the verifier has not rejected it: %v", err)
	}
	return false
}

// Iterators show what /proc shows.
func TestTasksAgreeWithProc(t *testing.T) {
	g := loadIterators(t, LoadOptions{Fetch: map[string]image.Fetch{"processes": {Interval: time.Millisecond}}})
	src := g.sourceOf(t, "processes")
	for try := 0; ; try++ { // threads may come and go in between
		got, want := threadsByIterator(t, src), threadsByProc(t)
		if slices.Equal(got, want) {
			return
		}
		if try == 10 {
			t.Fatalf("threads %q, want %q", got, want)
		}
	}
}

// threadsByIterator lists the own threads.
func threadsByIterator(t *testing.T, src pipeline.Source) []string {
	t.Helper()
	var b event.Batch
	if err := src.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	pid, tid := field(t, b.Schema, "pid"), field(t, b.Schema, "tid")
	var tids []string
	for _, row := range b.Rows {
		if pid.Uint(row) != uint64(os.Getpid()) {
			t.Errorf("a row of process %d", pid.Uint(row))
		}
		tids = append(tids, strconv.FormatUint(tid.Uint(row), 10))
	}
	slices.Sort(tids)
	return tids
}

func threadsByProc(t *testing.T) []string {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	var tids []string
	for _, e := range tasks {
		tids = append(tids, e.Name())
	}
	slices.Sort(tids)
	return tids
}

func TestFilesAgreeWithProc(t *testing.T) {
	g := loadIterators(t, LoadOptions{})
	files := make(map[uint64]uint64)
	for _, p := range pairs(t, g.sourceOf(t, "files")) {
		files[p[0]] = p[1]
	}
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		if files[uint64(f.Fd())] != st.Ino {
			t.Errorf("descriptor %d: inode %d, want %d", f.Fd(), files[uint64(f.Fd())], st.Ino)
		}
	}
}

func TestKernelSymbols(t *testing.T) {
	list, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	n := len(pairs(t, loadIterators(t, LoadOptions{}).sourceOf(t, "symbols")))
	// Loading programs adds symbols.
	if lines := bytes.Count(list, []byte("\n")); n < lines || n > lines+100 {
		t.Errorf("%d symbols, want %d and a few", n, lines)
	}
}

func TestElementsOfMaps(t *testing.T) {
	img := parse(t, "iterators_maps")
	if !walksMaps(t, img) {
		return
	}
	g := loadOwn(t, img, LoadOptions{Fetch: map[string]image.Fetch{"all": {Interval: time.Millisecond, Count: 2}}})
	want := make(map[[2]uint64]int)
	for i := range 1000 {
		v := uint64(i) * 1e12
		if err := errors.Join(g.coll.Maps["numbers"].Put(uint32(i), v), g.coll.Maps["table"].Put(v, uint64(i))); err != nil {
			t.Fatal(err)
		}
		want[[2]uint64{uint64(i), v}]++
	}
	count := func(list [][2]uint64) map[[2]uint64]int {
		m := make(map[[2]uint64]int)
		for _, p := range list {
			m[p]++
		}
		return m
	}
	if got := count(pairs(t, g.sourceOf(t, "numbers"))); !maps.Equal(got, want) {
		t.Errorf("%d numbers, want %d", len(got), len(want))
	}
	for i := range uint64(1000) {
		want[[2]uint64{i * 1e12, i}]++
	}
	self := uint64(os.Getpid())
	want[[2]uint64{self, self}]++
	for range 2 { // the second read returns everything again
		if got := count(pairs(t, g.sourceOf(t, "all"))); !maps.Equal(got, want) {
			t.Errorf("%d entries of all programs, want %d", len(got), len(want))
		}
	}
	pipelinetest.WantEnd(t, g.sourceOf(t, "all"))
}

// What programs had no room for in a map comes with the next array of its entries. An array that is due at the end of the run does not come before.
func TestIteratorsTellLosses(t *testing.T) {
	img := parse(t, "iterators_maps")
	if !walksMaps(t, img) {
		return
	}
	g := loadOwn(t, img, LoadOptions{Fetch: map[string]image.Fetch{"all": {Interval: image.AtEnd}}})
	lose := func(first uint64) {
		counts := make([]uint64, ebpf.MustPossibleCPU())
		counts[0] = first
		if err := g.coll.Maps["table_lost_samples"].Put(uint32(0), counts); err != nil {
			t.Fatal(err)
		}
	}
	lose(7)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { lose(9); cancel() })
	src := g.sourceOf(t, "all")
	var b event.Batch
	if err := src.Next(ctx, &b); err != nil {
		t.Fatal(err)
	}
	want := []event.Loss{{CPU: 0, Cause: event.BufferFull, Count: 9}}
	if !slices.Equal(b.Lost, want) || len(b.Rows) < 1000 {
		t.Errorf("%d rows, and lost are %v, want %v", len(b.Rows), b.Lost, want)
	}
	pipelinetest.WantEnd(t, src)
	if pairs(t, g.sourceOf(t, "numbers")) == nil {
		t.Error("the other data source has no array")
	}
}

// A program of which the params leave nothing is not run.
func TestIdleIterator(t *testing.T) {
	img := parse(t, "iterators")
	p, _ := img.Param("enabled")
	off, err := p.Parse("false")
	if err != nil {
		t.Fatal(err)
	}
	g := load(t, img, LoadOptions{Params: map[string]image.Value{p.Var: off}})
	counting, err := CountRuns()
	if err != nil {
		t.Fatal(err)
	}
	defer counting.Close()
	if list := pairs(t, g.sourceOf(t, "switched")); len(list) != 0 {
		t.Errorf("%d rows", len(list))
	}
	stats, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if s.Name == "on_off" && (s.Runs > 0 || s.Attached) {
			t.Errorf("it was run: %+v", s)
		}
	}
}

func TestDisabledIterators(t *testing.T) {
	off := "programs:\n  on_sleepable:\n    attach_to: gadget_program_disabled\n"
	g := loadOwn(t, parseWith(t, "iterators", off), LoadOptions{})
	if g.coll.Programs["on_sleepable"] != nil || len(pairs(t, g.sourceOf(t, "several"))) == 0 {
		t.Error("the disabled program is loaded, or the others show nothing")
	}
	off += "  on_off:\n    attach_to: gadget_program_disabled\n"
	_, err := Load(parseWith(t, "iterators", off), nil)
	if want := `data source "switched": all of its programs are disabled`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// namespace is a network namespace of the test's with a socket that listens on a port, by its path.
func namespace(t *testing.T) (path string, id uint64, port int) {
	t.Helper()
	var l net.Listener
	var err error
	ready, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ready)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		path = fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		var st unix.Stat_t
		if err = unix.Stat(path, &st); err != nil {
			return
		}
		id = st.Ino
		if l, err = net.Listen("tcp", "0.0.0.0:0"); err != nil { // lo is down, which does not matter
			return
		}
		ready <- struct{}{}
		<-end
	}()
	<-ready
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); close(end) })
	return path, id, l.Addr().(*net.TCPAddr).Port
}

// Iterators return the sockets of the chosen namespaces, each once.
func TestIteratorsInNamespaces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	var own unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		t.Fatal(err)
	}
	loadIterators(t, LoadOptions{}) // fails without root before anything else
	path1, id1, port1 := namespace(t)
	path2, id2, port2 := namespace(t)
	here := [][2]uint64{{uint64(l.Addr().(*net.TCPAddr).Port), own.Ino}, {uint64(u.LocalAddr().(*net.UDPAddr).Port), own.Ino}}
	there1, there2 := [2]uint64{uint64(port1), id1}, [2]uint64{uint64(port2), id2}
	for _, c := range []struct {
		name  string
		paths []string
		want  [][2]uint64
	}{
		{"none", nil, here},
		{"one", []string{path1}, [][2]uint64{there1}},
		{"two, by several names", []string{path1, path2, path1, filepath.Join("/proc", strconv.Itoa(os.Getpid()), strings.TrimPrefix(path1, "/proc/self"))}, [][2]uint64{there1, there2}},
		{"one that has gone", []string{"/proc/self/task/1/ns/net", path2}, [][2]uint64{there2}},
		{"all", []string{"/proc/thread-self/ns/net", path2, path1}, append(slices.Clone(here), there1, there2)},
	} {
		o := LoadOptions{}
		if c.paths != nil {
			o.NetNS = func() ([]string, error) { return c.paths, nil }
		}
		if c.name == "all" {
			o.NetNS = func() ([]string, error) {
				running, err := RunningNetNS() // those of threads are not among them
				return append(running, c.paths...), err
			}
		}
		got := pairs(t, loadIterators(t, o).sourceOf(t, "listening"))
		for _, p := range append(slices.Clone(here), there1, there2) {
			n := 0
			for _, q := range got {
				if p == q {
					n++
				}
			}
			want := 0
			if slices.Contains(c.want, p) {
				want = 1
			}
			if n != want {
				t.Errorf("%s: port %d of namespace %d is there %d times, want %d", c.name, p[0], p[1], n, want)
			}
		}
	}
}

func TestNamespacesThatCannotBeEntered(t *testing.T) {
	for path, want := range map[string]string{
		"/proc/self/ns/mnt": "/proc/self/ns/mnt is not a network namespace",
		"/proc/self/maps":   "/proc/self/maps is not a network namespace",
	} {
		g := loadIterators(t, LoadOptions{NetNS: func() ([]string, error) { return []string{path}, nil }})
		var b event.Batch
		err := g.sourceOf(t, "listening").Next(t.Context(), &b)
		if err == nil || !strings.HasSuffix(err.Error(), "program on_tcp: "+want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	failing := errors.New("cannot tell")
	g := loadIterators(t, LoadOptions{NetNS: func() ([]string, error) { return nil, failing }})
	var b event.Batch
	if err := g.sourceOf(t, "listening").Next(t.Context(), &b); !errors.Is(err, failing) {
		t.Errorf("got %v", err)
	}
}

// The error names iterator programs that misbehave.
func TestBadIterators(t *testing.T) {
	img := parse(t, "iterators_bad")
	if !walksMaps(t, img) {
		return
	}
	g := load(t, img, LoadOptions{})
	for name, want := range map[string]string{
		"half":  `data source "half": program write_half: it wrote 24 bytes, which is not a whole number of records of 16 bytes`,
		"again": `data source "again": program ask_again: it asks for the same object again and again`,
		"large": `data source "large": program write_large: its output for one object does not fit into the kernel's buffer of 8 pages: read bpf_iter: argument list too long`,
	} {
		var b event.Batch
		if err := g.sourceOf(t, name).Next(t.Context(), &b); err == nil || err.Error() != want || len(b.Rows) != 0 {
			t.Errorf("%s: got %d rows and %v, want %s", name, len(b.Rows), err, want)
		}
		pipelinetest.WantEnd(t, g.sourceOf(t, name))
	}
}

func TestMissingIterators(t *testing.T) {
	loadIterators(t, LoadOptions{}) // fails without root before anything else
	for target, want := range map[string]string{
		"task_fiel": `program on_off: this kernel has no iterator "task_fiel"; did you mean "task_file"?: `,
		"nothing":   `program on_off: this kernel has no iterator "nothing": `,
	} {
		img := parseWith(t, "iterators", "programs:\n  on_off:\n    attach_to: "+target+"\n")
		_, err := Load(img, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	spec, err := parse(t, "minimal").Spec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	old := &kernel.Kernel{Types: spec.Types} // has no iterators at all
	err = hook.Missing(old, &image.Program{Name: "p", Section: "iter/tcp", Target: "tcp"})
	if want := `program p: this kernel has no iterator "tcp": it came with Linux 5.9, and some kernels are configured without it`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The kernel refuses to attach a program that reads beyond the map's values.
func TestMapThatDoesNotFit(t *testing.T) {
	img := parse(t, "iterators_maps")
	if !walksMaps(t, img) {
		return
	}
	img.Program("on_entry").IterMap = "numbers" // with keys of 4 bytes
	_, err := Load(img, nil)
	if want := `program on_entry: walk map "numbers" (type Array, keys of 4 and values of 8 bytes`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestIteratorsLeaveNothing(t *testing.T) {
	loadIterators(t, LoadOptions{}).Close()
	before := kernelFDs()
	g := loadIterators(t, LoadOptions{})
	programs, maps := kernelIDs(t, g.Gadget)
	pairs(t, g.sourceOf(t, "files"))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if after := kernelFDs(); !slices.Equal(after, before) {
		t.Errorf("descriptors %q, before %q", after, before)
	}
	for _, id := range programs {
		gone(t, "program", func() (io.Closer, error) { return ebpf.NewProgramFromID(id) })
	}
	for _, id := range maps {
		gone(t, "map", func() (io.Closer, error) { return ebpf.NewMapFromID(id) })
	}
}

// Once there is memory for an array, another takes nothing that grows with it.
func TestIteratorsAllocateNothingForARow(t *testing.T) {
	g := loadIterators(t, LoadOptions{Fetch: map[string]image.Fetch{"symbols": {Interval: time.Nanosecond}}})
	src := g.sourceOf(t, "symbols")
	var b event.Batch
	n := testing.AllocsPerRun(3, func() {
		if err := src.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	})
	if len(b.Rows) < 10_000 {
		t.Fatalf("%d rows", len(b.Rows))
	}
	if n > 30 { // opening and closing an iteration needs some
		t.Errorf("%v allocations for %d rows", n, len(b.Rows))
	}
}
