// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// load is something that causes events.
type load struct {
	title string
	kind  kind
	// events is how many there are in a round.
	events int
	// timed is what the load says the time of, if it is not an event.
	timed string
	// args are those of the program that makes the load.
	args func(m *machine) []string
	// pinned keeps the load on CPU 0 and the tool on CPU 1.
	pinned bool
	// length is how long a paced load takes.
	length time.Duration
}

// loads lists all loads, in the order of the tables.
func loads(o *options) []load {
	list := []load{
		storm("open storm, 1 thread on one CPU, the tool on the other", kindOpen, o.count, 1, true),
		storm("open storm, 1 thread, not pinned", kindOpen, o.count, 1, false),
		storm("open storm, 2 threads, not pinned", kindOpen, o.count, 2, false),
		{
			title: "exec storm, not pinned", kind: kindExec, events: o.execs,
			args: func(m *machine) []string {
				return []string{"exec", "-n", strconv.Itoa(o.execs), "-path", m.dir}
			},
		},
	}
	for _, rate := range []int{10_000, 50_000, 200_000} {
		list = append(list, pacedLoad(rate, o.seconds))
	}
	return append(list,
		storm("storm that a filter in the kernel drops entirely", kindKernelFilter, o.count, 1, true),
		storm("storm that a filter in user space drops entirely", kindUserFilter, o.count, 1, true),
		dnsLoad(50_000, o.seconds),
		metricsLoad(1000, o.count))
}

func storm(title string, k kind, count, threads int, pinned bool) load {
	return load{title: title, kind: k, events: count, pinned: pinned, args: func(m *machine) []string {
		args := []string{"open", "-n", strconv.Itoa(count), "-threads", strconv.Itoa(threads), "-path", m.file}
		if pinned {
			args = append(args, "-cpus", "0")
		}
		return args
	}}
}

// metricsLoad opens names that do not exist, each as often: the tools count them by name.
func metricsLoad(names, count int) load {
	return load{title: fmt.Sprintf("metrics: counters of opens by name and process, %d series", names), kind: kindMetrics, events: count, args: func(m *machine) []string {
		return []string{"open", "-n", strconv.Itoa(count), "-threads", "2", "-names", strconv.Itoa(names), "-path", m.file}
	}}
}

func pacedLoad(rate int, length time.Duration) load {
	return load{
		title: fmt.Sprintf("paced, %d opens a second", rate), kind: kindPaced,
		events: int(float64(rate) * length.Seconds()), pinned: true, length: length,
		args: func(m *machine) []string {
			return []string{"paced", "-rate", strconv.Itoa(rate), "-for", length.String(), "-path", m.dir, "-cpus", "0"}
		},
	}
}

const (
	dnsPort   = "5300" // of the DNS server; tools.yaml has it, too
	dnsName   = "service.namespace.svc"
	firstName = "first.bench"
	// firstQuery asks for the address of firstName.
	firstQuery = "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05first\x05bench\x00\x00\x01\x00\x01"
)

// dnsLoad has four events for each query: the query and the answer are sent and received on this host.
func dnsLoad(rate int, length time.Duration) load {
	return load{
		title: fmt.Sprintf("dns: %d queries a second, answered, both ends on this host", rate), kind: kindDNS,
		events: 4 * int(float64(rate)*length.Seconds()), timed: "query", pinned: true,
		args: func(*machine) []string {
			return []string{"dns", "-rate", strconv.Itoa(rate), "-for", length.String(), "-port", dnsPort, "-cpus", "0"}
		},
	}
}

// run makes the load and returns the nanoseconds that an event, or what is timed, cost the program that caused it.
func (m *machine) run(l *load) (float64, error) {
	cmd := exec.Command(m.loader, l.args(m)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("make the load: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
