// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// openerName is the name of openers, which no other process has.
const openerName = "run-opener"

// opener is a process that opens files on command.
type opener struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startOpener starts an opener, in namespaces of its own if flags say so.
func startOpener(t *testing.T, flags uintptr) *opener {
	t.Helper()
	cmd := exec.Command("sh", "-c", `printf `+openerName+` > /proc/$$/comm; while read -r file; do true < "$file"; echo; done 2>/dev/null`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &opener{cmd, in, bufio.NewReader(out)}
}

// open returns when the process has tried to open the file.
func (o *opener) open(t *testing.T, file string) {
	t.Helper()
	if _, err := fmt.Fprintln(o.in, file); err != nil {
		t.Fatal(err)
	}
	if _, err := o.out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
}

// opens are the events of a run: container and file.
type opens struct {
	mu   sync.Mutex
	list []string
}

func (o *opens) add(container, file string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, container+" "+file)
}

func (o *opens) has(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.list, text)
}

// Only events of selected containers arrive, including a container that starts later; the kernel does not even write other events to the
// buffer.
func TestContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	set := container.NewSet("")
	defer set.Close()
	put := func(id, name string, o *opener) {
		t.Helper()
		err := set.Put(container.RankHigh, container.Identity{Runtime: "docker", ID: id, Name: name, PID: o.cmd.Process.Pid})
		if err != nil {
			t.Fatal(err)
		}
	}
	host, web := startOpener(t, 0), startOpener(t, unix.CLONE_NEWNS)
	db, late := startOpener(t, unix.CLONE_NEWNS), startOpener(t, unix.CLONE_NEWNS)
	put("a", "web-1", web)
	put("b", "db", db)
	selector, err := container.NewSelector(map[string]string{"containername": "web-1,web-2"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		containers run.Containers
		want       []string
		filtered   bool // by gizmo, not by the kernel
	}{
		"selected":          {run.Containers{Set: set, Selector: selector}, []string{"web-1 /no/web", "web-2 /no/late"}, false},
		"all containers":    {run.Containers{Set: set}, []string{"db /no/db", "web-1 /no/web", "web-2 /no/late"}, false},
		"selected and host": {run.Containers{Set: set, Selector: selector, Host: true}, []string{" /no/host", "web-1 /no/web", "web-2 /no/late"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.containers.Set = set
			var got opens
			ledger := runOpens(t, &c.containers, run.Events{}, &got, func() {
				host.open(t, "/no/host")
				web.open(t, "/no/web")
				db.open(t, "/no/db")
				put("c", "web-2", late)
				late.open(t, "/no/late")
				for end := time.Now().Add(20 * time.Second); !got.has("web-2 /no/late") && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
			})
			set.End("c")
			slices.Sort(got.list)
			if !slices.Equal(got.list, c.want) {
				t.Errorf("got %q, want %q", got.list, c.want)
			}
			if filtered := ledger.Filtered > 0; filtered != c.filtered {
				t.Errorf("gizmo filtered %d events itself", ledger.Filtered)
			}
		})
	}
}

// Single events are sorted by the names of containers, which are looked up before.
func TestContainersOrderEvents(t *testing.T) {
	kerneltest.RequireRoot(t)
	set := container.NewSet("")
	defer set.Close()
	openers := make(map[string]*opener)
	for _, name := range []string{"db", "web", "cache"} {
		o := startOpener(t, unix.CLONE_NEWNS)
		openers[name] = o
		if err := set.Put(container.RankHigh, container.Identity{ID: name, Name: name, PID: o.cmd.Process.Pid}); err != nil {
			t.Fatal(err)
		}
	}
	var got opens
	events := run.Events{Sort: "-runtime.containerName", SortWindow: 2 * time.Second}
	runOpens(t, &run.Containers{Set: set}, events, &got, func() {
		for _, name := range []string{"db", "web", "cache"} {
			openers[name].open(t, "/no/file")
		}
	})
	if want := []string{"web /no/file", "db /no/file", "cache /no/file"}; !slices.Equal(got.list, want) {
		t.Errorf("got %q, want %q", got.list, want)
	}
}

// runOpens runs trace_open while do runs, for failed opens of files below /no.
func runOpens(t *testing.T, containers *run.Containers, events run.Events, got *opens, do func()) pipeline.Totals {
	t.Helper()
	img, err := catalog.Builtin("trace_open")
	if err != nil {
		t.Fatal(err)
	}
	attached := make(chan struct{})
	plan, err := run.NewPlan(run.Options{
		Gadgets:    []run.Gadget{{Image: img, Params: map[string]string{"failed": "true", "comm": openerName}}},
		Containers: containers,
		Events:     events,
		OnAttached: func() error { close(attached); return nil },
		Sinks: []pipeline.NamedSink{{Name: "values", Sink: structs.Each(func(e *struct {
			Container string `event:"runtime.containerName"`
			File      string `event:"fname"`
		}) error {
			if len(e.File) > 4 && e.File[:4] == "/no/" {
				got.add(e.Container, e.File)
			}
			return nil
		})}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := plan.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-attached
	do()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var sum pipeline.Totals
	for _, a := range r.Ledger().Accounts() {
		totals := a.Totals()
		sum.Filtered += totals.Filtered
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return sum
}
