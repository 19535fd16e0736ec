// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
	"github.com/gizmo-ebpf/gizmo/wire"
)

func builtin(t testing.TB, name string) *image.Image {
	t.Helper()
	img, err := catalog.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// NewPlan returns all errors at once, each with its option.
func TestPlanTellsAllErrors(t *testing.T) {
	t.Parallel()
	_, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{
			Image: builtin(t, "trace_open"), Params: map[string]string{"pid": "many", "fialed": "true"}, FetchCount: "x:1",
		}},
		Annotate: []string{"opne:cli.default-output-mode=json"},
		Events:   run.Events{Filters: map[string]string{"": "proc.pdi==1"}, Expressions: map[string]string{"": "proc.pid +"}, Sort: "fnmae"},
		Text:     &run.Text{W: new(bytes.Buffer), Modes: "jsno", Fields: "proc.pdi"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`"many"`, `no param "fialed"; did you mean "failed"?`, `map-fetch-count: there is no data source "x"`, `annotate: `, `filter-expr: `,
		`output: unknown output format "jsno"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	_, err = run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: builtin(t, "trace_open")}},
		Events:  run.Events{Filters: map[string]string{"": "proc.pdi==1"}, Sort: "fnmae"},
		Text:    &run.Text{W: new(bytes.Buffer), Fields: "proc.pdi"},
	})
	for _, want := range []string{`no field "proc.pdi"; did you mean "proc.pid"?`, `sort: there is no field "fnmae"`, `fields: data source "open" has no field "proc.pdi"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	var option *run.OptionError
	if !errors.As(err, &option) {
		t.Errorf("no option in %v", err)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	open := builtin(t, "trace_open")
	for want, o := range map[string]run.Options{
		"there is no gadget to run": {},
		"needs its own name":        {Gadgets: []run.Gadget{{Name: "a", Image: open}, {Name: "a", Image: open}}},
		"sort-window":               {Gadgets: []run.Gadget{{Image: open}}, Events: run.Events{SortWindow: 1}},
		"max-entries":               {Gadgets: []run.Gadget{{Image: open}}, Events: run.Events{MaxEntries: -1}},
	} {
		if _, err := run.NewPlan(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// A plan has all fields, including those of enriched types, and needs no privileges.
func TestPlanKnowsTheFields(t *testing.T) {
	t.Parallel()
	plan, err := run.NewPlan(run.Options{Gadgets: []run.Gadget{{Image: builtin(t, "trace_open")}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fname", "error", "proc.creds.user", "timestamp"} {
		if _, ok := plan.Schemas()[0].Lookup(name); !ok {
			t.Errorf("no field %q", name)
		}
	}
}

// output is a buffer that signals when it has a text.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// openRun is a run of trace_open that shows the opens of one name.
func openRun(t *testing.T, machine *host.Host, name string) (*run.Run, *output) {
	t.Helper()
	out := &output{}
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: builtin(t, "trace_open")}}, Host: machine,
		Events: run.Events{Filters: map[string]string{"": "fname==" + name}},
		Text:   &run.Text{W: out, Modes: "json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, out
}

// Two gadgets in one process, at once, have each their own output and ledger, and share the host only.
func TestTwoRunsAtOnce(t *testing.T) {
	kerneltest.RequireRoot(t)
	machine := host.New()
	dir := t.TempDir()
	names := []string{dir + "/one", dir + "/two"}
	opens := []int{3, 5}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var runs []*run.Run
	var outs []*output
	errs := make([]error, 2)
	for i, name := range names {
		r, out := openRun(t, machine, name)
		runs, outs = append(runs, r), append(outs, out)
		running.Go(func() { errs[i] = r.Run(ctx) })
	}
	wait(t, "both runs show events", func() bool {
		for i := range names {
			_, _ = os.Open(names[i] + "-warm")
			_, _ = os.Open(names[i])
		}
		return outs[0].String() != "" && outs[1].String() != ""
	})
	before := []int{strings.Count(outs[0].String(), "\n"), strings.Count(outs[1].String(), "\n")}
	for i, name := range names {
		for range opens[i] {
			_, _ = os.Open(name)
		}
	}
	cancel()
	running.Wait()
	for i := range runs {
		lines := strings.Count(outs[i].String(), "\n")
		if errs[i] != nil || lines < before[i]+opens[i] || strings.Contains(outs[i].String(), names[1-i]) {
			t.Errorf("run %d: error %v, %d lines, of these %d before; and none of the other's:\n%s", i, errs[i], lines, before[i], outs[i])
		}
		accounts := runs[i].Ledger().Accounts()
		if len(accounts) != 1 || accounts[0].Totals().Delivered != uint64(lines) || accounts[0].Totals().Lost != 0 {
			t.Errorf("run %d: %d accounts, totals %+v, and %d lines", i, len(accounts), accounts[0].Totals(), lines)
		}
	}
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 20 s: not %s", what)
		}
	}
}

// One run can have several gadgets, also the same one twice. Options name the data sources of one or of all, and a recording
// holds the events of both.
func TestTwoGadgetsInOneRun(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	out, recording := &output{}, dir+"/recording"
	open := builtin(t, "trace_open")
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Name: "a", Image: open}, {Name: "b", Image: open}},
		Events:  run.Events{Filters: map[string]string{"open": "fname==" + dir + "/x", "b/open": "fname==no such name"}},
		Text:    &run.Text{W: out, Modes: "json"},
		Record:  &run.Recording{Path: recording},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	wait(t, "an event", func() bool { _, _ = os.Open(dir + "/x"); return out.String() != "" })
	cancel()
	if err := errors.Join(<-ended, r.Close()); err != nil {
		t.Fatal(err)
	}
	accounts := r.Ledger().Accounts()
	if len(accounts) != 2 || accounts[0].Source().String() != "a/open" || accounts[1].Source().String() != "b/open" {
		t.Fatalf("accounts %+v", accounts)
	}
	if a, b := accounts[0].Totals(), accounts[1].Totals(); a.Delivered == 0 || b.Delivered != 0 || b.Filtered == 0 {
		t.Errorf("a %+v, b %+v", a, b)
	}
	wantReplay(t, recording, dir+"/x")
}

// wantReplay fails the test unless a recording of two gadgets has events of that name from both.
func wantReplay(t *testing.T, path, name string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recording, err := wire.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer recording.Close()
	out := &output{}
	r, err := run.Replay(recording, run.Options{
		Events: run.Events{Filters: map[string]string{"open": "fname==" + name}, SortWindow: sort.DefaultWindow}, Text: &run.Text{W: out, Modes: "json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Run(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	for _, a := range r.Ledger().Accounts() {
		if a.Totals().Delivered == 0 {
			t.Errorf("%s: no event of %s in the replay", a.Source(), name)
		}
	}
	var event struct{ Fname string }
	if err := json.Unmarshal([]byte(strings.SplitN(out.String(), "\n", 2)[0]), &event); err != nil || event.Fname != name {
		t.Errorf("%v: %s", err, out)
	}
}

// A plan can be loaded again, and a failed load leaves nothing behind.
func TestPlanIsLoadedTwice(t *testing.T) {
	kerneltest.RequireRoot(t)
	plan, err := run.NewPlan(run.Options{Gadgets: []run.Gadget{{Image: builtin(t, "trace_signal")}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r, err := plan.Load(t.Context())
		if err != nil {
			t.Fatal(i, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := errors.Join(r.Run(ctx), r.Close()); err != nil {
			t.Fatal(i, err)
		}
	}
	missing, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: builtin(t, "trace_signal")}}, Record: &run.Recording{Path: t.TempDir() + "/no/such/folder"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Load(t.Context()); !errors.Is(err, run.ErrRecord) || !errors.Is(err, os.ErrNotExist) {
		t.Error(fmt.Sprint(err))
	}
}

// openAgainAndAgain opens a file until ctx is done, for an example that waits for an event.
func openAgainAndAgain(ctx context.Context, name string) {
	for ctx.Err() == nil {
		_, _ = os.Open(name)
		time.Sleep(10 * time.Millisecond)
	}
}

// The example runs where it can: it has no output of its own, since it takes root.
func TestExample(t *testing.T) {
	kerneltest.RequireRoot(t)
	old := os.Stdout
	defer func() { os.Stdout = old }()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = write
	Example()
	write.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(read); err != nil || !strings.HasPrefix(text.String(), "/etc/no-such-file ENOENT true\n") {
		t.Errorf("%v: %q", err, text.String())
	}
}
