// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// soak is a load and all that runs under it.
type soak struct {
	t        *testing.T
	temp     string   // the folder for temporary files of all processes
	env      []string // their environment
	began    time.Time
	load     *process
	lasting  []*command
	repeated []*row
	embedder *embedder
	seen     map[kerneltest.Object]bool // all BPF objects that a process ever held
}

// embedder is a process that writes what it has in use.
type embedder struct {
	*process
	row *row
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	kerneltest.RequireRoot(t)
	temp := t.TempDir()
	return &soak{t: t, temp: temp, env: []string{"TMPDIR=" + temp}, began: time.Now(), seen: make(map[kerneltest.Object]bool)}
}

// However long a run lasts and however often it is repeated, nothing grows, each account closes and nothing is left. Ctrl-C
// ends the test early, with all checks.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	_, err := catalog.Builtin("trace_open")
	if _, e := os.Stat(*gizmo); e != nil || err != nil {
		kerneltest.Missing(t, "make build has not built the program and its gadgets: %v, %v", e, err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	s.begin()
	ctx, cancel := context.WithTimeout(ctx, *lasts)
	defer cancel()
	for n := 0; ctx.Err() == nil; n++ {
		s.repeat(n)
	}
	s.end(time.Since(s.began))
}

func (s *soak) startChild(role, arg string) *process {
	s.t.Helper()
	return start(s.t, role, append(s.env, childRole+"="+role), "/proc/self/exe", arg)
}

// begin starts all that lasts, and then the load.
func (s *soak) begin() {
	s.load = s.startChild(roleLoad, "")
	for i := range lasting {
		r := newRow(lasting[i].name, &memory, &descriptors, &objects, &threads, &goroutines)
		r.held = float64(lasting[i].held * heldBytes)
		s.lasting = append(s.lasting, s.startCommand(&lasting[i], r))
	}
	for _, c := range s.lasting {
		c.waitAttached(s.t)
	}
	for i := range repeated {
		s.repeated = append(s.repeated, newRow(repeated[i].name))
	}
	s.embedder = &embedder{s.startChild(roleEmbedder, strconv.Itoa(s.load.pid())), newEmbedderRow()}
	s.began = time.Now()
	fmt.Fprintln(s.load.in, "begin")
}

// repeat starts and ends one of the repeated runs, and looks at all processes.
func (s *soak) repeat(n int) {
	c := s.startCommand(&repeated[n%len(repeated)], s.repeated[n%len(repeated)])
	c.waitAttached(s.t)
	if err := exec.Command("true").Run(); err != nil { // something to see for those that observe programs that start
		s.t.Fatal(err)
	}
	s.lookAtAll()
	time.Sleep(200 * time.Millisecond)
	s.look(c.process, c.row)
	c.end(s.t, endings[n%len(endings)], unknown)
	s.lookAtAll()
	for _, c := range s.lasting {
		_ = c.cmd.Process.Signal(unix.SIGQUIT)
	}
}

func (s *soak) lookAtAll() {
	for _, c := range s.lasting {
		s.look(c.process, c.row)
		for _, m := range stateLine.FindAllStringSubmatch(c.err.take(), -1) {
			c.row.add(&goroutines, s.began, number(m[1]))
		}
	}
	s.lookAtEmbedder(s.embedder)
}

var (
	stateLine  = regexp.MustCompile(`(?m)^gizmo: state: (\d+) goroutines$`) // of the answer to SIGQUIT
	statusLine = regexp.MustCompile(`(?m)^(VmRSS|Threads):\s+(\d+)`)
)

func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// look looks at a process from outside.
func (s *soak) look(p *process, r *row) {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	lines := statusLine.FindAllStringSubmatch(string(status), -1)
	open, errOpen := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	if err != nil || errOpen != nil || len(lines) != 2 { // a process that is ending has no memory any more
		s.t.Fatalf("%s has ended: %s", p.name, p.err.take())
	}
	held := kerneltest.ObjectsOf(p.pid())
	for _, o := range held {
		s.seen[o] = true
	}
	r.add(&memory, s.began, number(lines[0][2])*1024)
	r.add(&threads, s.began, number(lines[1][2]))
	if _, itself := r.series[&heap]; !itself { // seen from outside, these change with each of an embedder's runs
		r.add(&descriptors, s.began, float64(len(open)))
		r.add(&objects, s.began, float64(len(held)))
	}
}

// lookAtEmbedder also reads what the process wrote.
func (s *soak) lookAtEmbedder(e *embedder) {
	s.t.Helper()
	s.look(e.process, e.row)
	for line := range strings.Lines(e.out.take()) {
		var u use
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		e.row.runs, e.row.account = u.Runs, account{produced: u.Events, delivered: u.Events}
		e.row.add(&heap, s.began, u.Heap)
		e.row.add(&goroutines, s.began, u.Goroutines)
		e.row.add(&descriptors, s.began, u.Descriptors)
		e.row.add(&objects, s.began, u.Objects)
	}
}

// end ends all that lasts, the load first, judges what was seen and looks for what is left.
func (s *soak) end(after time.Duration) {
	made, err := strconv.Atoi(strings.TrimSpace(s.load.endInput(s.t)))
	if err != nil {
		s.t.Error(err)
	}
	rows := []*row{s.embedder.row}
	for _, c := range s.lasting {
		c.end(s.t, syscall.SIGINT, made)
		rows = append(rows, c.row)
	}
	s.embedder.endInput(s.t)
	rows = append(rows, s.repeated...)
	s.t.Logf("%v, %d objects in the kernel; figures in the second and in the last quarter\n%s", after.Round(time.Second), len(s.seen), table(rows, after))
	for _, r := range rows {
		for _, wrong := range r.judge(after) {
			s.t.Error(wrong)
		}
		if r.account.delivered == 0 {
			s.t.Errorf("%s: %d runs, and no event came out", r.name, r.runs)
		}
	}
	if lossy := s.lasting[1].row.account; lossy.lost == 0 {
		s.t.Errorf("a small buffer lost nothing: %v", lossy)
	}
	left, err := os.ReadDir(s.temp)
	if err != nil || len(left) > 0 {
		s.t.Errorf("temporary files are left: %v, %v", left, err)
	}
	for o := range s.seen {
		eventually(s.t, fmt.Sprintf("%s %d has left the kernel", o.Kind, o.ID), func() bool { return !o.Exists() })
	}
}
