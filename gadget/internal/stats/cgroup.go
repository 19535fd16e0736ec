// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/host/throttle"
)

// cgroups fills the data source of control groups.
type cgroups struct {
	reader *throttle.Reader
	now    []throttle.Group
	// before has the counters of the reading before.
	before map[groupKey]throttle.Group
	rows   []builtin.CgroupRow

	pressure, mountNS bool // what somebody reads
}

// groupKey identifies a group: another one may get its path later.
type groupKey struct {
	path string
	id   uint64
}

func openCgroups() (*cgroups, error) {
	r, err := throttle.Open()
	if err != nil {
		return nil, err
	}
	return &cgroups{reader: r, pressure: true, mountNS: true}, nil
}

func (c *cgroups) Ask(asked func(field string) bool) {
	c.pressure = asked("psiSomeAvg10") || asked("psiSomeAvg60")
	c.mountNS = asked("mountnsid")
}

func (c *cgroups) Needs() Needs { return Needs{OtherProcesses: c.mountNS} }

func (c *cgroups) Close() error { return nil }

func (c *cgroups) Begin() error {
	if err := c.read(); err != nil {
		return err
	}
	c.remember()
	return nil
}

func (c *cgroups) read() (err error) {
	c.now, err = c.reader.Read(c.now[:0])
	return err
}

func (c *cgroups) remember() {
	if c.before == nil {
		c.before = make(map[groupKey]throttle.Group, len(c.now))
	}
	clear(c.before)
	for i := range c.now {
		g := &c.now[i]
		c.before[groupKey{g.Path, g.ID}] = *g
	}
}

func (c *cgroups) Read(rows [][]byte) ([][]byte, error) {
	if err := c.read(); err != nil {
		return rows, err
	}
	c.rows = c.rows[:0]
	for i := range c.now {
		g := &c.now[i]
		before := c.before[groupKey{g.Path, g.ID}] // a new one began with 0
		if g.Periods <= before.Periods {
			continue // it had nothing to do
		}
		c.rows = append(c.rows, builtin.CgroupRow{})
		c.fill(&c.rows[len(c.rows)-1], g, &before)
	}
	c.remember()
	return builtin.AppendRows(rows, c.rows), nil
}

func (c *cgroups) fill(row *builtin.CgroupRow, g, before *throttle.Group) {
	putPath(row.Path[:], g.Path)
	row.Periods, row.Throttled = g.Periods-before.Periods, g.Throttled-min(before.Throttled, g.Throttled)
	row.ThrottledTime = uint64(max(g.ThrottledTime-before.ThrottledTime, 0))
	row.Ratio = float64(row.Throttled) / float64(row.Periods) * 100
	row.Quota, row.Period = uint64(g.Quota), uint64(g.Period)
	if g.Period > 0 {
		row.Cores = float64(g.Quota) / float64(g.Period)
	}
	if c.pressure {
		p := c.reader.Pressure(g)
		row.Some10, row.Some60 = p.Some10, p.Some60
	}
	if c.mountNS {
		row.MountNS = c.reader.MountNS(g)
	}
}

// putPath copies a path. Of one that is too long, it leaves out folders at the beginning.
func putPath(dst []byte, path string) {
	const left = "..."
	if len(path) > len(dst) {
		path = left + path[len(path)-len(dst)+len(left):]
	}
	put(dst, path)
}
