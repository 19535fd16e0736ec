// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"slices"
	"sync"
)

// Pool shares Owners between gadgets: there are programs in the kernel while a gadget needs them, and one set of them for all gadgets
// that can do with the same fields. All methods may be called by several goroutines at once.
type Pool struct {
	options Options

	mu   sync.Mutex
	open []*Lease
}

// Lease is a use of Owners of a Pool.
type Lease struct {
	*Owners
	pool *Pool
	uses int
}

// NewPool returns a pool. Owners have those of the options' fields that gadgets read.
func NewPool(options Options) *Pool { return &Pool{options: options} }

// Get returns owners with these fields, as far as the pool's options allow them. Their programs may still be loading: gadgets can be linked
// meanwhile, and Start waits. The caller must Close the lease once no program uses it any more.
func (p *Pool) Get(fields []string) (*Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := p.options.Fields.only(fields)
	for _, l := range p.open {
		if l.sizes.fields.covers(want) {
			l.uses++
			return l, nil
		}
	}
	options := p.options
	options.Fields = want
	owners, err := begin(&options, ways())
	if err != nil {
		return nil, err
	}
	l := &Lease{Owners: owners, pool: p, uses: 1}
	p.open = append(p.open, l)
	return l, nil
}

// Close ends the use. The last one takes the programs out of the kernel.
func (l *Lease) Close() error {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.uses == 0 {
		return errors.New("the lease of owners of sockets is closed already")
	}
	if l.uses--; l.uses > 0 {
		return nil
	}
	l.pool.open = slices.DeleteFunc(l.pool.open, func(other *Lease) bool { return other == l })
	return l.Owners.Close()
}
