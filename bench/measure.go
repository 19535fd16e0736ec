// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// result holds the figures of one round. Figures that a load does not have are no numbers (NaN).
type result struct {
	delivered int
	told      int     // events that the tool says it lost
	rate      float64 // delivered events a second
	cpu       float64 // seconds of CPU of the whole process
	user      float64 // those of them outside the kernel
	share     float64 // of one CPU, while the load ran
	peak      float64 // MiB
	first     float64 // ms from the start to the first event
	perEvent  float64 // ns, as the traced program saw it
	p50, p99  float64 // ms from an event to its line
}

// running is a tool that has been started.
type running struct {
	cmd    *exec.Cmd
	out    *os.File // its output
	errs   bytes.Buffer
	reader *latencyReader // instead of a file, for paced loads
}

// measure runs a tool while the load is made.
func (m *machine) measure(t *tool, l *load) (result, error) {
	var r result
	p, err := m.start(t, l)
	if err != nil {
		return r, err
	}
	defer p.out.Close()
	if err := m.measureRunning(p, t, l, &r); err != nil {
		_ = p.cmd.Process.Kill()
		return r, errors.Join(err, p.cmd.Wait(), errors.New(p.errs.String()))
	}
	return r, m.count(p, t, l, &r)
}

func (m *machine) start(t *tool, l *load) (*running, error) {
	args := t.command(l.kind)
	if l.pinned {
		args = append([]string{"taskset", "-c", "1"}, args...)
	}
	p := &running{cmd: program(args)}
	p.cmd.Stderr = &p.errs
	var err error
	if p.out, err = os.Create(filepath.Join(m.dir, "out")); err != nil {
		return nil, err
	}
	p.cmd.Stdout = p.out
	if l.kind == kindPaced {
		if p.reader, err = newLatencyReader(m.dir, p.out); err != nil {
			return nil, err
		}
		p.cmd.Stdout = p.reader.write
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if p.reader != nil {
		p.reader.start()
	}
	return p, nil
}

// measureRunning waits for the tool's first event, makes the load and ends the tool.
func (m *machine) measureRunning(p *running, t *tool, l *load, r *result) (err error) {
	start := time.Now()
	if r.first, err = m.waitReady(p, l, t, start); err != nil {
		return err
	}
	before := cpuOf(p.cmd.Process.Pid)
	begin := time.Now()
	if r.perEvent, err = m.run(l); err != nil {
		return err
	}
	took := time.Since(begin)
	time.Sleep(100 * time.Millisecond) // no tool holds events longer than that
	r.share = (cpuOf(p.cmd.Process.Pid) - before) / took.Seconds()
	r.rate = 1 / took.Seconds()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if p.reader != nil {
		p.reader.wait()
	}
	if err := p.cmd.Wait(); err != nil && !wasInterrupted(err) {
		return err
	}
	usage := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r.user = p.cmd.ProcessState.UserTime().Seconds()
	r.cpu = r.user + p.cmd.ProcessState.SystemTime().Seconds()
	r.peak = float64(usage.Maxrss) / 1024
	return nil
}

// wasInterrupted reports whether a tool ended by the signal that it was sent.
func wasInterrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status := exit.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGINT || status.ExitStatus() == 130
}

// waitReady causes events until the tool reports one. Tools that report none get a fixed time.
func (m *machine) waitReady(p *running, l *load, t *tool, start time.Time) (float64, error) {
	if t.Delivered.Regexp != nil || l.kind == kindKernelFilter || l.kind == kindUserFilter {
		time.Sleep(time.Second)
		return math.NaN(), nil
	}
	for time.Since(start) < 20*time.Second {
		m.cause(l)
		if data, err := os.ReadFile(p.out.Name()); err == nil && bytes.Contains(data, m.marker(l)) {
			return time.Since(start).Seconds() * 1e3, nil
		}
		if err := syscall.Kill(p.cmd.Process.Pid, 0); err != nil {
			return 0, errors.New("it ended before its first event")
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.New("no event within 20 s")
}

// cause makes one event that is not counted.
func (m *machine) cause(l *load) {
	switch l.kind {
	case kindExec:
		_ = exec.Command("/bin/true").Run()
		return
	case kindDNS:
		if c, err := net.Dial("udp4", net.JoinHostPort("127.0.0.1", dnsPort)); err == nil {
			_, _ = c.Write([]byte(firstQuery))
			_ = c.Close()
		}
		return
	}
	if fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err == nil {
		_ = unix.Close(fd)
	}
}

// marker is a part of the line of the event that cause makes.
func (m *machine) marker(l *load) []byte {
	switch l.kind {
	case kindExec:
		return []byte("/bin/true")
	case kindDNS:
		return []byte(firstName)
	}
	return []byte("/dev/null")
}

// count counts the events that arrived.
func (m *machine) count(p *running, t *tool, l *load, r *result) error {
	if _, err := p.out.Seek(0, io.SeekStart); err != nil {
		return err
	}
	told, ok := t.Lost.sum(p.errs.Bytes())
	r.told = told
	if p.reader != nil {
		r.delivered, r.p50, r.p99 = p.reader.result()
	} else if err := m.countLines(p, t, l, r, ok); err != nil {
		return err
	}
	r.rate *= float64(r.delivered)
	return nil
}

func (m *machine) countLines(p *running, t *tool, l *load, r *result, told bool) error {
	if t.Delivered.Regexp != nil {
		n, ok := t.Delivered.sum(p.errs.Bytes())
		if !ok {
			text, err := io.ReadAll(p.out)
			if err != nil {
				return err
			}
			n, ok = t.Delivered.sum(text)
		}
		if !ok {
			return fmt.Errorf("it does not say how many events it delivered:\n%s", p.errs.String())
		}
		r.delivered = min(n, l.events) // others open files, too
		return nil
	}
	word := []byte(m.file)
	switch l.kind {
	case kindExec:
		word = []byte(m.prog)
	case kindDNS:
		word = []byte(dnsName)
	}
	lines := newLines(p.out)
	for lines.next() {
		if bytes.Contains(lines.line, word) {
			r.delivered++
		} else if !told { // some tools report their losses among the events
			n, _ := t.Lost.sum(lines.line)
			r.told += n
		}
	}
	return lines.err
}

// cpuOf returns the seconds of CPU that a process has used.
func cpuOf(pid int) float64 {
	// The clock of a process, by its id: see clock_getcpuclockid(3).
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0
	}
	return float64(ts.Nano()) / 1e9
}
