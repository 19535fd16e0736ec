// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// spec is a way to run the command.
type spec struct {
	name   string
	args   string // of "gizmo run"; PID stands for the id of the load's process
	record bool   // and replay the recording after the run
	held   int    // events that it may hold at once
}

// lasting are the runs that last as long as the test. The kernel filters the events of others, so that all events are the load's.
var lasting = []spec{
	{name: "opens", args: "trace_open --pid PID"},
	{name: "opens, buffer too small", args: "trace_open --pid PID --buffer-size 4096"},
	{name: "opens, filtered and sorted", args: "trace_open --pid PID --filter-expr fname==\"/proc/version\" --sort=timestamp_raw --sort-window 50ms", held: 5000},
	{name: "opens, recorded", args: "trace_open --pid PID", record: true},
}

// heldBytes is what a held event takes up: 1,192 bytes of a row of trace_open and its keys, and as much again until Go collects garbage.
const heldBytes = 2 * 1250

// repeated are the runs that the test starts one after the other, again and again. They observe the whole machine.
var repeated = []spec{
	{name: "again: opens, recorded", args: "trace_open", record: true},
	{name: "again: execs, sorted", args: "trace_exec --sort=-timestamp_raw --sort-window 100ms"},
	{name: "again: signals, two shards", args: "trace_signal --shards 2 --latency 0"},
}

// endings are the signals that end repeated runs. Each run meets each of them, because their numbers have no common divisor.
var endings = [...]syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGKILL, unix.SIGHUP}

// command is a run of the command.
type command struct {
	*process
	row       *row
	recording string // empty: none
}

func (s *soak) startCommand(spec *spec, r *row) *command {
	s.t.Helper()
	c := &command{row: r}
	argv := append([]string{*gizmo, "run", "--host", "-v", "-o", "json"},
		strings.Fields(strings.ReplaceAll(spec.args, "PID", strconv.Itoa(s.load.pid())))...)
	if spec.record { // where the test fails if something is left
		c.recording = filepath.Join(s.temp, spec.name)
		argv = append(argv, "--record", c.recording)
	}
	c.process = start(s.t, spec.name, s.env, argv...)
	c.out.linesOnly = true
	return c
}

var capabilities = regexp.MustCompile(`(?m)^CapEff:\s+([0-9a-f]+)$`)

// waitAttached waits until the command has given up the capability to load programs, which it does after it has attached them.
func (c *command) waitAttached(t *testing.T) {
	t.Helper()
	eventually(t, c.name+": programs are attached", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid()))
		m := capabilities.FindSubmatch(status)
		if err != nil || m == nil || !c.isRunning() {
			t.Fatalf("%s ended before its programs were attached: %s", c.name, c.err.take())
		}
		held, err := strconv.ParseUint(string(m[1]), 16, 64)
		return err == nil && held&(1<<unix.CAP_BPF) == 0
	})
}

// end ends a run by a signal and checks its account. made is how often the load opened the file while it ran, or unknown.
func (c *command) end(t *testing.T, signal syscall.Signal, made int) {
	t.Helper()
	if c.recording != "" {
		defer os.Remove(c.recording)
	}
	c.err.take() // earlier accounts
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("%s: %v: %s", c.name, err, c.err.take())
	}
	c.wantEnd(t, signal == unix.SIGKILL)
	c.row.runs++
	if signal == unix.SIGKILL {
		return // it tells nothing
	}
	a := c.wantAccount(t, made)
	c.row.account.add(a)
	if c.recording == "" {
		return
	}
	// The recording has all events, those too that a filter removed or that standard output was too slow for.
	again := &command{process: start(t, "replay: "+c.name, nil, *gizmo, "replay", c.recording, "-o", "json", "-v")}
	again.out.linesOnly = true
	again.wantEnd(t, false)
	if got := again.wantAccount(t, a.produced); got.delivered < a.delivered+a.filtered {
		t.Errorf("%s: %+v; the run had %+v", again.name, got, a)
	}
}

// wantAccount returns the account of an ended run, which must close.
func (c *command) wantAccount(t *testing.T, made int) account {
	t.Helper()
	text := c.err.take()
	a, err := lastAccount(text)
	if err == nil {
		err = a.check(c.out.lines, made)
	}
	if err != nil {
		t.Errorf("%s: %+v, but %v: %s", c.name, a, err, text)
	}
	return a
}

// account is what a run says became of the events of its data source.
type account struct{ produced, delivered, filtered, lost int }

var accountLine = regexp.MustCompile(`(?m)^gizmo: [^ ]+: (\d+) events produced, (\d+) delivered, (\d+) filtered, (\d+) lost$`)

// lastAccount returns the last account in the text of standard error.
func lastAccount(text string) (a account, err error) {
	all := accountLine.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return a, errors.New("it shows no account")
	}
	_, err = fmt.Sscan(strings.Join(all[len(all)-1][1:], " "), &a.produced, &a.delivered, &a.filtered, &a.lost)
	return a, err
}

func (a *account) add(b account) {
	*a = account{a.produced + b.produced, a.delivered + b.delivered, a.filtered + b.filtered, a.lost + b.lost}
}

// unknown is the number of events that happened during a run that observed the whole machine.
const unknown = -1

// check returns what is wrong with an account. lines is how many events came out, made how many happened.
func (a account) check(lines, made int) error {
	switch {
	case a.produced != a.delivered+a.filtered+a.lost:
		return errors.New("that does not add up")
	case lines != a.delivered:
		return fmt.Errorf("%d events came out", lines)
	case made != unknown && made != a.produced:
		return fmt.Errorf("%d events happened", made)
	}
	return nil
}
