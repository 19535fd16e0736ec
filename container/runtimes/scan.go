// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// ScanName is the name of [Scan] among runtimes.
const ScanName = "control groups"

// Scan finds containers by their control groups, which runtimes name after the ids of containers. It knows neither names nor images,
// and finds the containers of runtimes whose sockets gizmo does not know. It is a [container.Runtime] without a daemon.
type Scan struct {
	root  string        // of the control groups
	every time.Duration // between two scans, once poll is closed
	poll  chan struct{}
	once  sync.Once
}

// NewScan returns a client that looks once, when it is asked for a list.
func NewScan() *Scan {
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err != nil {
		root += "/memory" // one hierarchy for each controller
	}
	return &Scan{root: root, every: time.Second, poll: make(chan struct{})}
}

// Poll makes the client look every second, for machines where nothing reports new containers.
func (s *Scan) Poll() { s.once.Do(func() { close(s.poll) }) }

// Name implements container.Runtime.
func (s *Scan) Name() string { return ScanName }

// Rank implements container.Runtime.
func (s *Scan) Rank() int { return container.RankBundle - 1 }

// Socket returns the folder of the control groups.
func (s *Scan) Socket() string { return s.root }

// Close implements container.Runtime.
func (s *Scan) Close() error { return nil }

// groupName matches the control groups of containers: the id alone, or as systemd's scopes name it, after the runtime's prefix.
var groupName = regexp.MustCompile(`^(?:(docker|cri-containerd|crio|libpod|nerdctl)-)?([0-9a-f]{64})(?:\.scope)?$`)

// podName matches the control groups of pods: the unique id, with underscores where systemd has a use for dashes.
var podName = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})`)

// identityOf returns the identity of the container with a control group; false if it is not one of a container.
func identityOf(path string) (id container.Identity, ok bool) {
	m := groupName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return id, false
	}
	id = container.Identity{ID: m[2], Name: m[2][:12]}
	switch parent := filepath.Base(filepath.Dir(path)); {
	case m[1] == "cri-containerd":
		id.Runtime = "containerd"
	case m[1] == "crio":
		id.Runtime = "cri-o"
	case m[1] == "libpod":
		id.Runtime = "podman"
	case m[1] != "":
		id.Runtime = m[1]
	case parent == "docker":
		id.Runtime = parent
	}
	if pod := podName.FindStringSubmatch(path); pod != nil {
		id.Pod.UID = strings.ReplaceAll(pod[1], "_", "-")
	}
	return id, true
}

// List implements container.Runtime.
func (s *Scan) List(ctx context.Context) (all []container.Identity, err error) {
	err = filepath.WalkDir(s.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil // it has gone meanwhile
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		id, ok := identityOf(path)
		if !ok {
			return nil
		}
		if id.PID = firstProcess(path); id.PID > 0 {
			all = append(all, id)
		}
		return fs.SkipDir // a container in a container belongs to the outer one
	})
	return all, err
}

// firstProcess returns the oldest process in a control group and those below it; 0: there is none.
func firstProcess(group string) int {
	var all []started
	_ = filepath.WalkDir(group, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			all = append(all, processesOf(path)...)
		}
		return nil
	})
	if len(all) == 0 {
		return 0
	}
	// Processes of the same clock tick are told apart by their parents: that of the first is the runtime.
	inside := func(pid int) int {
		if slices.ContainsFunc(all, func(p started) bool { return p.pid == pid }) {
			return 1
		}
		return 0
	}
	return slices.MinFunc(all, func(a, b started) int {
		return cmp.Or(cmp.Compare(a.Began, b.Began), cmp.Compare(inside(a.Parent), inside(b.Parent)))
	}).pid
}

// started is a process, with its parent and its start.
type started struct {
	pid int
	procstat.Process
}

// maxProcesses bounds how many processes of a control group are inspected.
const maxProcesses = 1024

// processesOf returns the processes of a control group.
func processesOf(group string) (all []started) {
	f, err := os.Open(group + "/cgroup.procs")
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan() && len(all) < maxProcesses; {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			continue
		}
		if p, err := procstat.Read("/proc/" + lines.Text()); err == nil {
			all = append(all, started{pid, p})
		}
	}
	return all
}

// Get implements container.Runtime.
func (s *Scan) Get(ctx context.Context, id string) (container.Identity, error) {
	all, err := s.List(ctx)
	if err != nil {
		return container.Identity{}, err
	}
	i := slices.IndexFunc(all, func(c container.Identity) bool { return c.ID == id })
	if i < 0 {
		return container.Identity{}, fmt.Errorf("%w: %s", container.ErrUnknown, id)
	}
	return all[i], nil
}

// Watch implements container.Runtime. It reports changes only after Poll.
func (s *Scan) Watch(ctx context.Context, ready func(), changed func(container.Change)) error {
	ready()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.poll:
	}
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	known := make(map[string]bool)
	for {
		all, err := s.List(ctx)
		if err != nil {
			return err
		}
		now := make(map[string]bool)
		for _, c := range all {
			if now[c.ID] = true; !known[c.ID] {
				changed(container.Change{ID: c.ID})
			}
		}
		for id := range known {
			if !now[id] {
				changed(container.Change{ID: id, Ended: true})
			}
		}
		known = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
