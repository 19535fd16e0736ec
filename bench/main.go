// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench compares gizmo with other programs that do the same: one load after the other, each
// program in turn, several rounds. It prints a table for each load, in Markdown.
//
// tools.yaml lists the programs. If possible, bench counts the events that arrived in a program's output,
// whatever the program itself reports. It needs root, two CPUs and, for the other programs,
// the packages that "scripts/setup.sh bench" installs; it skips a program that is missing, and says so.
//
// After the tables of events there are those of profilers, of packets that a filter drops, and of what the programs cost that
// note the owners of sockets.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options are the options of the command line.
type options struct {
	rounds  int
	count   int
	execs   int
	seconds time.Duration
	loads   string
	tools   string
}

func main() {
	// A program is sent a signal when the thread that started it ends: this one ends with bench.
	runtime.LockOSThread()
	var o options
	var file string
	flag.IntVar(&o.rounds, "rounds", 5, "how often each program is measured")
	flag.IntVar(&o.count, "n", 1_000_000, "opens in each round of a storm")
	flag.IntVar(&o.execs, "execs", 2_000, "programs run in each round of the storm of execs")
	flag.DurationVar(&o.seconds, "for", 3*time.Second, "length of each round of a paced load")
	flag.StringVar(&o.loads, "loads", "", "only the loads with one of these words in their names: storm,paced,dns,metrics,profiles,packets")
	flag.StringVar(&o.tools, "tools", "", "only the programs with one of these words in their names")
	flag.StringVar(&file, "table", "bench/tools.yaml", "the table of programs")
	flag.Parse()
	if signal.Ignored(os.Interrupt) {
		// As in a job that a script starts with &. The tools inherit it, and would not end.
		fmt.Fprintln(os.Stderr, "bench: SIGINT is ignored here, by which the tools are ended")
		os.Exit(1)
	}
	if err := bench(file, &o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(file string, o *options) error {
	p, err := readPrograms(file)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gz")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, unix.SIGTERM)
	go func() {
		<-interrupted
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	m, err := newMachine(dir)
	if err != nil {
		return err
	}
	fmt.Print(m.describe(o))
	for _, l := range loads(o) {
		if !matches(l.title, o.loads) {
			continue
		}
		if err := compare(m, &l, p.Tools, o); err != nil {
			return fmt.Errorf("%s: %w", l.title, err)
		}
	}
	return compareOthers(m, p, o)
}

// compareOthers makes the tables whose figures are not those of events.
func compareOthers(m *machine, p *programs, o *options) error {
	for _, frequency := range profileFrequencies() {
		if !matches(profileTitle(frequency), o.loads) {
			continue
		}
		if err := compareProfilers(os.Stdout, m, p.Profilers, frequency, o); err != nil {
			return fmt.Errorf("%s: %w", profileTitle(frequency), err)
		}
	}
	if matches(packetTitle, o.loads) {
		if err := compareCaptures(os.Stdout, m, p.Captures, o); err != nil {
			return fmt.Errorf("%s: %w", packetTitle, err)
		}
	}
	if matches(socketTitle, o.loads) {
		return compareSockets(os.Stdout, o.rounds)
	}
	return nil
}

// compare measures all tools under one load and prints the table.
func compare(m *machine, l *load, tools []tool, o *options) error {
	untraced, err := m.run(l)
	if err != nil {
		return err
	}
	var taking []*entry
	for i := range tools {
		if t := &tools[i]; t.command(l.kind) != nil && matches(t.Name, o.tools) {
			if _, err := exec.LookPath(t.command(l.kind)[0]); err != nil {
				fmt.Printf("(%s is left out: %v)\n", t.Name, err)
				continue
			}
			taking = append(taking, &entry{tool: t})
		}
	}
	for range o.rounds {
		for _, e := range taking { // in turn: the machine's speed drifts
			r, err := m.measure(e.tool, l)
			if err != nil {
				return fmt.Errorf("%s: %w", e.tool.Name, err)
			}
			e.results = append(e.results, r)
		}
	}
	again, err := m.run(l)
	if err != nil {
		return err
	}
	printLoad(os.Stdout, l, min(untraced, again), taking)
	return nil
}

// program makes a command that ends with bench, however that ends.
func program(args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	return cmd
}

// matches reports whether one of the words, separated by commas, is a part of the name.
func matches(name, words string) bool {
	for _, word := range strings.Split(words, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// machine runs loads and tools in a folder of its own.
type machine struct {
	dir    string
	loader string // the program that makes the loads
	file   string // the file that the loads open
	prog   string // the program that the loads execute
}

func newMachine(dir string) (*machine, error) {
	m := &machine{dir: dir, loader: filepath.Join(dir, "load"), file: filepath.Join(dir, "f"), prog: filepath.Join(dir, "x")}
	if out, err := exec.Command("go", "build", "-o", m.loader, "./bench/load").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the load: %w\n%s", err, out)
	}
	data, err := os.ReadFile("/bin/true")
	return m, errors.Join(err, os.WriteFile(m.file, nil, 0o600), os.WriteFile(m.prog, data, 0o700),
		os.Symlink("/usr/bin/python3", filepath.Join(dir, "tree-py")))
}

// describe describes the machine and the measurement.
func (m *machine) describe(o *options) string {
	model, kernel := "unknown CPU", "unknown kernel"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.Trim(name, "\t: \n")
				break
			}
		}
	}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel, _, _ = strings.Cut(strings.TrimSpace(string(data)), "-") // without whose it is
	}
	return fmt.Sprintf("%s, %d CPUs used, Linux %s; %d rounds; the path has %d bytes.\nEach figure: median (least – most).\n",
		model, 2, kernel, o.rounds, len(m.file))
}
