// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/host/process"
	"github.com/gizmo-ebpf/gizmo/internal/procstat"
)

// processes fills the data source of processes.
type processes struct {
	reader *process.Reader
	watch  watch
	// now and before are the last reading and the one before, by id.
	now, before []process.Process
	rows        []builtin.ProcessRow
	want        process.Wanted
	startText   bool
	text        []byte // of one value, reused
}

func openProcesses() (*processes, error) {
	r, err := process.Open()
	if err != nil {
		return nil, err
	}
	p := &processes{reader: r}
	p.Ask(func(string) bool { return true })
	return p, nil
}

func (p *processes) Ask(asked func(field string) bool) {
	p.want = process.Wanted{Shared: asked("memoryShared_raw"), UID: asked("uid"), MountNS: asked("mountnsid")}
	p.startText = asked("startTimeStr")
}

func (p *processes) Needs() Needs { return Needs{OtherProcesses: true} } // where /proc hides the processes of other users

func (p *processes) Close() error { return p.reader.Close() }

// Begin reads only what differences are made of.
func (p *processes) Begin() error {
	p.reader.Want(process.Wanted{})
	p.watch.lap()
	return p.read()
}

func (p *processes) read() (err error) {
	p.now, p.before = p.before, p.now
	p.now, err = p.reader.Read(p.now[:0])
	return err
}

func (p *processes) Read(rows [][]byte) ([][]byte, error) {
	p.reader.Want(p.want)
	seconds := p.watch.lap()
	m := machineNow(seconds)
	if err := p.read(); err != nil {
		return rows, err
	}
	p.compare(&m)
	return builtin.AppendRows(rows, p.rows), nil
}

// compare makes the rows of the last reading.
func (p *processes) compare(m *machine) {
	p.rows = p.rows[:0]
	before := p.before
	for i := range p.now {
		now := &p.now[i]
		for len(before) > 0 && before[0].PID < now.PID {
			before = before[1:]
		}
		var used uint64
		switch {
		case len(before) > 0 && before[0].PID == now.PID && before[0].Start == now.Start:
			used = now.CPU - min(before[0].CPU, now.CPU)
		case now.Start >= m.lastTick: // it is new
			used = now.CPU
		}
		p.rows = append(p.rows, builtin.ProcessRow{})
		p.fill(&p.rows[len(p.rows)-1], now, float64(used), m)
	}
}

// machine is what processes are compared with.
type machine struct {
	ticks    float64 // since the reading before
	cpus     float64
	memory   float64 // bytes
	lastTick uint64  // when the reading before was taken, since boot
	boot     time.Time
}

func machineNow(seconds float64) machine {
	m := machine{ticks: seconds * procstat.ClockTicks, cpus: processors()}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		m.memory = float64(info.Totalram) * float64(info.Unit)
	}
	var up unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) // cannot fail
	sinceBoot := time.Duration(up.Nano())
	m.boot = time.Now().Add(-sinceBoot)
	m.lastTick = ticks(max(sinceBoot-time.Duration(seconds*float64(time.Second)), 0))
	return m
}

// fill makes a row of a process that has used so many ticks of processor time since the reading before.
func (p *processes) fill(row *builtin.ProcessRow, now *process.Process, used float64, m *machine) {
	const tick = time.Second / procstat.ClockTicks
	usage := used / m.ticks * 100
	row.PID, row.Parent, row.Comm, row.State[0] = now.PID, now.Parent, now.Comm, now.State
	row.Priority, row.Nice, row.Threads, row.UID = now.Priority, now.Nice, now.Threads, now.UID
	row.CPUUsage, row.CPUUsageRelative = usage, usage/m.cpus
	row.Resident, row.Virtual, row.Shared = now.Resident, now.Virtual, now.Shared
	if m.memory > 0 {
		row.MemoryRelative = float64(now.Resident) / m.memory * 100
	}
	row.Start, row.CPUTime, row.MountNS = now.Start, int64(now.CPU), now.MountNS
	p.text = appendCPUTime(p.text[:0], time.Duration(now.CPU)*tick)
	put(row.CPUTimeText[:], p.text)
	if p.startText {
		p.text = m.boot.Add(time.Duration(now.Start)*tick).AppendFormat(p.text[:0], time.RFC3339)
		put(row.StartText[:], p.text)
	}
}
