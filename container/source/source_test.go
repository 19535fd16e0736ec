// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

var _ pipeline.Source = (*Source)(nil)

func newSet(t testing.TB) *container.Set {
	t.Helper()
	set := container.NewSet("")
	t.Cleanup(set.Close)
	return set
}

// put adds a container whose first process is the test itself.
func put(t testing.TB, set *container.Set, id container.Identity) {
	t.Helper()
	id.PID = os.Getpid()
	if err := set.Put(container.RankHigh, id); err != nil {
		t.Fatal(err)
	}
}

// bundleOf makes a bundle with a configuration.
func bundleOf(t testing.TB, config string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// drain returns the events that a source has, until its end, and how many were lost.
func drain(t testing.TB, src *Source) (events []string, lost uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var readers []event.Reader
	for _, name := range []string{"event_type", "container_id", "name", "cgroup_id", "mntns_id", "container_config"} {
		r, err := src.schema.ReaderOf(name)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	for {
		var b event.Batch
		err := src.Next(ctx, &b)
		for row := range b.Rows {
			var values []string
			for i := range readers {
				values = append(values, readers[i].String(&b, row))
			}
			events = append(events, strings.Join(values, " "))
		}
		for _, l := range b.Lost {
			if l.Cause != event.OutputSlow {
				t.Errorf("lost as %v", l.Cause)
			}
			lost += l.Count
		}
		if errors.Is(err, io.EOF) {
			return events, lost
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestContract(t *testing.T) {
	const containers = 150 // more than a batch
	config := bundleOf(t, `{"ociVersion":"1"}`)
	pipelinetest.Source(t, pipelinetest.SourceCase{
		New: func(t testing.TB) pipeline.Source {
			set := container.NewSet("")
			for i := range containers {
				put(t, set, container.Identity{ID: fmt.Sprint("id-", i), Bundle: config})
			}
			src := New(Options{Set: set, Host: true})
			src.Start()
			set.Announce(container.Identity{ID: "late", Runtime: "runc", Bundle: config})
			for i := range containers {
				set.End(fmt.Sprint("id-", i))
			}
			set.Close()
			return src
		},
		Rows: 1 + containers + 1 + containers,
		Live: true,
	})
}

// What a container's events say: of one that is there at the start, and of one that is announced, made, renamed and ended.
func TestEvents(t *testing.T) {
	kerneltest.RequireRoot(t)
	set := newSet(t)
	first := exec.Command("sleep", "60")
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = first.Process.Kill()
		_ = first.Wait()
	}()
	put(t, set, container.Identity{Runtime: "docker", ID: "there", Name: "db"})
	src := New(Options{Set: set, Host: true})
	src.Start()
	config := bundleOf(t, `{"annotations":{"nerdctl/name":"web"}}`)
	id := container.Identity{Runtime: "runc", ID: "made", Name: "made", Bundle: config}
	set.Announce(id)
	id.PID, id.Name = first.Process.Pid, "web"
	for range 2 { // the second time it is known
		if err := set.Put(container.RankBundle, id); err != nil {
			t.Fatal(err)
		}
		set.Announce(id)
		id.Name = "renamed"
	}
	set.End("made")
	got, lost := drain(t, src)
	own, mount := set.Host(), inode(t, fmt.Sprintf("/proc/%d/ns/mnt", first.Process.Pid))
	var cgroup uint64
	for _, c := range set.All() {
		cgroup = c.CgroupID // of the same control group
	}
	want := []string{
		fmt.Sprintf("CREATED   %d %d ", own.CgroupID, inode(t, "/proc/self/ns/mnt")),
		fmt.Sprintf("CREATED there db %d %d ", cgroup, inode(t, "/proc/self/ns/mnt")),
		`PRECREATE made web 0 0 {"annotations":{"nerdctl/name":"web"}}`,
		fmt.Sprintf(`CREATED made web %d %d {"annotations":{"nerdctl/name":"web"}}`, cgroup, mount),
		fmt.Sprintf("DELETED made renamed %d %d ", cgroup, mount),
	}
	if !slices.Equal(got, want) || lost > 0 {
		t.Errorf("got\n\t%q, %d lost\nwant\n\t%q", got, lost, want)
	}
	if cgroup == 0 || own.CgroupID == 0 || own.MountNS == mount {
		t.Errorf("control groups %d, %d, mount namespaces %d, %d", cgroup, own.CgroupID, own.MountNS, mount)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// types returns the first two fields of events.
func types(events []string) []string {
	var list []string
	for _, e := range events {
		parts := strings.SplitN(e, " ", 3)
		list = append(list, parts[0]+" "+parts[1])
	}
	return list
}

// Only selected containers are reported. A name that becomes known later brings a container into the selection, or takes it
// out. What an announced container is called is in its bundle. Sandboxes of pods are left out.
func TestSelection(t *testing.T) {
	t.Parallel()
	set := newSet(t)
	selector, err := container.NewSelector(map[string]string{"containername": "web"})
	if err != nil {
		t.Fatal(err)
	}
	src := New(Options{Set: set, Selector: selector})
	src.Start()
	named, other := bundleOf(t, `{"annotations":{"nerdctl/name":"web"}}`), bundleOf(t, `{}`)
	sandbox := bundleOf(t, `{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"web"}}`)
	set.Announce(container.Identity{ID: "a", Bundle: named})
	set.Announce(container.Identity{ID: "b", Bundle: other})
	set.Announce(container.Identity{ID: "c", Bundle: sandbox})
	put(t, set, container.Identity{ID: "a", Name: "a"})
	put(t, set, container.Identity{ID: "b", Name: "b"})
	put(t, set, container.Identity{ID: "c", Name: "web", Pod: container.Pod{Name: "web", Sandbox: true}})
	put(t, set, container.Identity{ID: "a", Name: "web"})
	put(t, set, container.Identity{ID: "a", Name: "web", Image: "x"})
	put(t, set, container.Identity{ID: "a", Name: "new"})
	put(t, set, container.Identity{ID: "d", Name: "web"})
	for _, id := range []string{"a", "b", "c", "d"} {
		set.End(id)
	}
	got, _ := drain(t, src)
	if want := []string{"PRECREATE a", "CREATED a", "DELETED a", "CREATED d", "DELETED d"}; !slices.Equal(types(got), want) {
		t.Errorf("got %q, want %q", types(got), want)
	}
}

// A reader that is too slow does not hold up the set: what finds no room is counted, and what comes after there is room again is
// reported.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	set := newSet(t)
	src := New(Options{Set: set})
	src.most = 10
	src.Start()
	for i := range 15 {
		put(t, set, container.Identity{ID: fmt.Sprint("id-", i)})
	}
	var b event.Batch
	if err := src.Next(t.Context(), &b); err != nil || len(b.Rows) != 10 || len(b.Lost) != 1 || b.Lost[0].Count != 5 || b.More {
		t.Errorf("%d rows, %v lost, more: %v, %v", len(b.Rows), b.Lost, b.More, err)
	}
	set.End("id-3")
	got, lost := drain(t, src)
	if want := []string{"DELETED id-3"}; !slices.Equal(types(got), want) || lost > 0 {
		t.Errorf("got %q, %d lost", got, lost)
	}
}

// Next waits for a change, and a configuration that is missing, a pipe, or too large leaves the field empty.
func TestOddConfigurations(t *testing.T) {
	t.Parallel()
	set := newSet(t)
	src := New(Options{Set: set})
	src.Start()
	pipe := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipe, "config.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	odd := []container.Identity{
		{ID: "missing", Bundle: t.TempDir()},
		{ID: "pipe", Bundle: pipe},
		{ID: "large", Bundle: bundleOf(t, strings.Repeat("x", maxConfig+1))},
		{ID: "largest", Bundle: bundleOf(t, strings.Repeat("x", maxConfig))},
		{ID: strings.Repeat("i", 300), Name: strings.Repeat("n", 5000)},
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		for _, id := range odd {
			id.PID = os.Getpid()
			if err := set.Put(container.RankHigh, id); err != nil {
				t.Error(err)
			}
		}
	}()
	sizes := make(map[string]int)
	var b event.Batch
	for len(sizes) < len(odd) {
		if err := src.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for _, row := range b.Rows {
			sizes[string(event.CString(row[idOff:][:idSize]))] = len(row) - recordSize
		}
	}
	for id, want := range map[string]int{"missing": 0, "pipe": 0, "large": 0, "largest": maxConfig, strings.Repeat("i", 256): 0} {
		if got, ok := sizes[id]; got != want || !ok {
			t.Errorf("%s: %d bytes, want %d", id, got, want)
		}
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}
