// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profiler is a row of tools.yaml, which explains the keys.
type profiler struct {
	Name    string   `yaml:"name"`
	Record  []string `yaml:"record"`
	Report  []string `yaml:"report"`
	Stacks  string   `yaml:"stacks"`
	Headers string   `yaml:"headers"`
}

// sampling reports whether a process takes samples. It has opened as many perf events as it will if their number has been the same
// for a second: some are for what processes map, and come before others.
func sampling() func(pid int) bool {
	last, since := 0, time.Now()
	return func(pid int) bool {
		n := perfEvents(pid)
		if n != last {
			last, since = n, time.Now()
		}
		return n > 0 && time.Since(since) > time.Second
	}
}

func perfEvents(pid int) (n int) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return 0
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "anon_inode:[perf_event]" {
			n++
		}
	}
	return n
}

// profileFrequencies has a table for each.
func profileFrequencies() []int { return []int{99, 999} }

func profileTitle(frequency int) string {
	return fmt.Sprintf("profiles: %d samples a second on each CPU", frequency)
}

// profile holds the figures of one round of a profiler.
type profile struct {
	usage
	expected float64 // samples
	counts   []tally // of each tree
	slower   float64 // how much more processor time the trees needed for the same work
}

// compareProfilers measures all profilers at one frequency and prints the table.
func compareProfilers(w io.Writer, m *machine, profilers []profiler, frequency int, o *options) error {
	var taking []profiler
	for _, p := range profilers {
		if matches(p.Name, o.tools) {
			taking = append(taking, p)
		}
	}
	rows := make(map[string]*row[profile])
	for range o.rounds {
		untraced, err := m.grow(func() error { return nil })
		if err != nil {
			return err
		}
		for i := 0; i < len(taking); i++ {
			p := &taking[i]
			r, err := m.profile(p, frequency, untraced)
			if unable := (*unableError)(nil); errors.As(err, &unable) {
				fmt.Fprintf(w, "(%s is left out: %v)\n", p.Name, err)
				taking = slices.Delete(taking, i, i+1)
				i--
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			if rows[p.Name] == nil {
				rows[p.Name] = &row[profile]{name: p.Name}
			}
			rows[p.Name].results = append(rows[p.Name].results, r)
		}
	}
	var list []row[profile]
	for _, p := range taking {
		list = append(list, *rows[p.Name])
	}
	printProfiles(w, m, frequency, list)
	return nil
}

// profile runs a profiler while the trees grow. They stay until it has reported, for those that look for names only then.
func (m *machine) profile(p *profiler, frequency int, untraced []growth) (r profile, err error) {
	out, err := os.Create(filepath.Join(m.dir, "stacks"))
	if err != nil {
		return r, err
	}
	defer out.Close()
	fill := strings.NewReplacer("HZ", strconv.Itoa(frequency), "DIR", m.dir)
	t, err := startTracer(filled(p.Record, fill), p.env(), out, sampling())
	if err != nil {
		return r, err
	}
	grown, err := m.grow(func() (err error) {
		if r.usage, err = t.stop(); err != nil || p.Report == nil {
			return err
		}
		report := filled(p.Report, fill)
		cmd := exec.Command(report[0], report[1:]...)
		cmd.Stdout, cmd.Stderr = out, &t.errs
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w\n%s", err, t.errs.String())
		}
		r.usage.add(cmd.ProcessState)
		return nil
	})
	if err != nil {
		t.kill()
		return r, err
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return r, err
	}
	err = r.count(m, text, p.Stacks, frequency, grown, untraced)
	if err == nil && r.samples() == 0 {
		fmt.Fprintf(os.Stderr, "bench: %s shows no samples: %s\n", p.Name, lastLine(t.errs.String()))
	}
	return r, err
}

// env is what the profiler's environment has besides that of bench.
func (p *profiler) env() []string {
	folder, err := filepath.Abs(p.Headers)
	if err != nil || p.Headers == "" {
		return nil
	}
	if _, err := os.Stat(folder); err != nil {
		return nil // the kernel has its own
	}
	return []string{"BCC_KERNEL_SOURCE=" + folder}
}

func filled(args []string, fill *strings.Replacer) []string {
	args = slices.Clone(args)
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	return args
}

// count makes the figures of a round of what the profiler wrote and of what the trees say.
func (r *profile) count(m *machine, text []byte, format string, frequency int, grown, untraced []growth) error {
	all, err := parseStacks(format, text, frequency)
	if err != nil {
		return err
	}
	for i, tree := range m.trees() {
		r.counts = append(r.counts, all[tree.comm])
		r.expected += grown[i].cpu * float64(frequency)
		slower := (untraced[i].work / untraced[i].cpu) / (grown[i].work / grown[i].cpu)
		r.slower += slower / float64(len(grown))
	}
	return nil
}

func (r *profile) samples() (sum float64) {
	for i := range r.counts {
		sum += r.counts[i].samples
	}
	return sum
}

func printProfiles(w io.Writer, m *machine, frequency int, rows []row[profile]) {
	fmt.Fprintf(w, "\n### %s\n\n%d programs use %d s of processor time each: %d samples.\n\n",
		profileTitle(frequency), len(m.trees()), treeSeconds, len(m.trees())*treeSeconds*frequency)
	if len(rows) == 0 {
		return
	}
	cols := []column[profile]{
		{"samples", func(r *profile) float64 { return r.samples() / r.expected }, percent, false},
		{"CPU-s", func(r *profile) float64 { return r.cpu }, two, true},
		{"of it in user mode", func(r *profile) float64 { return r.user }, two, false},
		{"peak MiB", func(r *profile) float64 { return r.peak }, number, false},
		{"traced / untraced", func(r *profile) float64 { return r.slower }, three, false},
	}
	for i, tree := range m.trees() {
		cols = append(cols,
			column[profile]{tree.title + ": named", func(r *profile) float64 { return r.counts[i].named / max(r.counts[i].frames, 1) }, percent, false},
			column[profile]{"whole", func(r *profile) float64 { return r.counts[i].whole / max(r.counts[i].samples, 1) }, percent, false})
	}
	printTable(w, cols, rows)
}
