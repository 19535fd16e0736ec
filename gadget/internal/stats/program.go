// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"io"
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/host/bpfprogs"
)

// programs fills the data source of BPF programs.
type programs struct {
	reader   *bpfprogs.Reader
	counting io.Closer // while it is open, the kernel counts runs
	watch    watch

	now []bpfprogs.Program
	// before has the counts of the reading before.
	before map[uint32]counts
	rows   []builtin.ProgramRow
	text   []byte // of one value, reused

	// held is who holds each program, as it was found out at heldAt.
	held   map[uint32][]bpfprogs.Holder
	heldAt time.Time

	gadgetsOnly, holders bool
	mapMemory, gadget    bool // what somebody reads
}

// counts are those of a program.
type counts struct {
	runs uint64
	time time.Duration
}

func openPrograms(o Options) (*programs, error) {
	r, err := bpfprogs.Open()
	if err != nil {
		return nil, err
	}
	p := &programs{reader: r, gadgetsOnly: o.GadgetsOnly, before: make(map[uint32]counts)}
	if p.counting, err = bpfprogs.Count(); err != nil {
		return nil, err
	}
	p.Ask(func(string) bool { return true })
	return p, nil
}

func (p *programs) Ask(asked func(field string) bool) {
	p.holders = asked("comms") || asked("pids")
	p.mapMemory = asked("mapMemory_raw")
	p.gadget = asked("gadgetID") || asked("gadgetName") || asked("gadgetImage") || asked("mapCount") || p.gadgetsOnly
}

func (p *programs) Needs() Needs {
	return Needs{Programs: true, OtherProcesses: p.holders, OpenFiles: p.holders}
}

func (p *programs) Close() error {
	if p.counting == nil {
		return nil
	}
	err := p.counting.Close()
	p.counting = nil
	return err
}

func (p *programs) Begin() error {
	p.reader.Want(bpfprogs.Wanted{MapMemory: p.mapMemory, Gadget: p.gadget})
	p.watch.lap()
	if err := p.read(); err != nil {
		return err
	}
	p.remember()
	return nil
}

func (p *programs) read() (err error) {
	p.now, err = p.reader.Read(p.now[:0])
	return err
}

func (p *programs) remember() {
	clear(p.before)
	for i := range p.now {
		now := &p.now[i]
		p.before[now.ID] = counts{now.Runs, now.Time}
	}
}

func (p *programs) Read(rows [][]byte) ([][]byte, error) {
	seconds := p.watch.lap()
	if err := p.read(); err != nil {
		return rows, err
	}
	if err := p.findHolders(); err != nil {
		return rows, err
	}
	cpus := processors()
	p.rows = p.rows[:0]
	for i := range p.now {
		now := &p.now[i]
		if p.gadgetsOnly && now.Gadget.ID == "" {
			continue
		}
		p.rows = append(p.rows, builtin.ProgramRow{})
		row := &p.rows[len(p.rows)-1]
		p.fill(row, now)
		row.CPUUsage = float64(row.Runtime) / float64(time.Second) / seconds * 100
		row.CPUUsageRelative = row.CPUUsage / cpus
		p.fillHolders(row, p.held[now.ID])
	}
	p.remember()
	return builtin.AppendRows(rows, p.rows), nil
}

// holdersAge is how old the knowledge may be of who holds programs, while these stay the same. To find out, gizmo looks at all open files of the
// machine; processes seldom hand programs on.
const holdersAge = 10 * time.Second

// findHolders finds out who holds the programs, unless it is known.
func (p *programs) findHolders() (err error) {
	if !p.holders || time.Since(p.heldAt) < holdersAge && !p.changed() {
		return nil
	}
	p.held, err = p.reader.Holders()
	p.heldAt = time.Now()
	return err
}

// changed reports whether there are other programs than at the reading before.
func (p *programs) changed() bool {
	for i := range p.now {
		if _, ok := p.before[p.now[i].ID]; !ok {
			return true
		}
	}
	return len(p.now) != len(p.before)
}

// fill makes a row of a program. A program that is new has run since it was loaded.
func (p *programs) fill(row *builtin.ProgramRow, now *bpfprogs.Program) {
	before := p.before[now.ID]
	put(row.GadgetID[:], now.Gadget.ID)
	put(row.GadgetName[:], now.Gadget.Name)
	put(row.GadgetImage[:], now.Gadget.Reference)
	row.ID = now.ID
	put(row.Name[:], now.Name)
	put(row.Type[:], now.Type)
	row.Runs = now.Runs - min(before.runs, now.Runs)
	row.Runtime = uint64(max(now.Time-before.time, 0))
	p.text = appendCPUTime(p.text[:0], now.Time)
	put(row.CPUTimeText[:], p.text)
	row.Maps, row.MapMemory = uint64(now.Maps), now.MapMemory
}

// fillHolders writes the processes that hold a program, as many as there is room for.
func (p *programs) fillHolders(row *builtin.ProgramRow, holders []bpfprogs.Holder) {
	comms, pids := p.text[:0], make([]byte, 0, len(row.PIDs))
	for i, h := range holders {
		if i > 0 {
			comms, pids = append(comms, ','), append(pids, ',')
		}
		comms, pids = append(comms, h.Comm...), strconv.AppendInt(pids, int64(h.PID), 10)
	}
	put(row.Comms[:], whole(comms, len(row.Comms)))
	put(row.PIDs[:], whole(pids, len(row.PIDs)))
	p.text = comms
}

// whole returns the beginning of a list that fits: its last item is whole, and "..." stands for more.
func whole(list []byte, size int) []byte {
	const more = ",..."
	if len(list) <= size {
		return list
	}
	end := size - len(more)
	for end > 0 && list[end] != ',' {
		end--
	}
	return append(list[:end], more...)
}
