// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package networkpolicy gathers the connections of pods and writes the Kubernetes network policies that allow them, and no others.
//
// A [Sink] takes rows with a peer's address, a port and the pod they are about. When all rows have come, [Sink.Append] gives the text. The text
// depends on the rows alone, and not on their order.
package networkpolicy

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// The limits of what a sink remembers. What does not fit is dropped, batch by batch: see [Sink.Write].
const (
	maxConnections = 100_000
	maxText        = 8 << 20 // bytes of names and labels of pods
)

// Sink gathers rows. It is a [pipeline.Sink].
type Sink struct {
	kind kind

	mu      sync.Mutex // guards what follows
	sources map[*event.Schema]*source
	pods    map[string]*pod         // by the texts that rows have about them
	known   map[string]struct{}     // rows that were there already
	owners  map[netip.Addr]*pod     // of addresses; nil: several pods that differ
	all     map[connection]struct{} // of all pods
	text    int                     // bytes of the keys of pods
	dropped int                     // rows
	scratch []byte

	connections, maxText int // limits
}

// connection is what a policy has to allow.
type connection struct {
	pod    *pod
	peer   netip.Addr
	port   port
	egress bool // the pod connects to the peer
}

// New returns a sink that writes policies in one of [Formats].
func New(format string) (*Sink, error) {
	for _, k := range kinds() {
		if k.name == format {
			return &Sink{
				kind: k, sources: make(map[*event.Schema]*source), pods: make(map[string]*pod), known: make(map[string]struct{}),
				owners: make(map[netip.Addr]*pod), all: make(map[connection]struct{}), connections: maxConnections, maxText: maxText,
			}, nil
		}
	}
	return nil, fmt.Errorf("unknown format of policies %q (known: %s)%s", format, strings.Join(Formats(), ", "), nearest.Hint(format, Formats()))
}

// Bind implements pipeline.Sink.
func (s *Sink) Bind(schema *event.Schema) (event.FieldSet, error) {
	src, reads, err := newSource(schema)
	if err != nil {
		return reads, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[schema] = src
	return reads, nil
}

// Write implements pipeline.Sink. If the sink is full and the batch has something new, it takes nothing of it and returns
// pipeline.ErrDropped.
func (s *Sink) Write(b *event.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[b.Schema]
	if full := len(s.known) >= s.connections || s.text >= s.maxText; full && !s.knowsAll(src, b) {
		s.dropped += len(b.Rows)
		return pipeline.ErrDropped
	}
	for row := range b.Rows {
		s.add(src, b, row)
	}
	return nil
}

// knowsAll reports whether a batch has nothing new.
func (s *Sink) knowsAll(src *source, b *event.Batch) bool {
	for row := range b.Rows {
		s.scratch = src.appendPod(s.scratch[:0], b, row)
		p := s.pods[string(s.scratch)]
		if p == nil {
			return false
		}
		s.scratch = src.appendConnection(s.scratch[:0], p, b, row)
		if _, ok := s.known[string(s.scratch)]; !ok {
			return false
		}
	}
	return true
}

// add takes a row. It allocates only for what is new.
func (s *Sink) add(src *source, b *event.Batch, row int) {
	s.scratch = src.appendPod(s.scratch[:0], b, row)
	p := s.pods[string(s.scratch)]
	if p == nil {
		key := string(s.scratch)
		p = newPod(len(s.pods), key)
		s.pods[key] = p
		s.text += len(key)
	}
	s.scratch = src.appendConnection(s.scratch[:0], p, b, row)
	if _, ok := s.known[string(s.scratch)]; ok {
		return
	}
	s.known[string(s.scratch)] = struct{}{}
	if c, ok := src.connection(p, b, row); ok {
		s.all[c] = struct{}{}
	}
	if local, ok := src.localAddr(b, row); ok && p.inPod() {
		s.own(local, p)
	}
}

// own notes whose an address is. An address that pods with different labels have had, one after the other, is no pod's.
func (s *Sink) own(addr netip.Addr, p *pod) {
	other, known := s.owners[addr]
	switch {
	case !known:
		s.owners[addr] = p
	case other != nil && other.workload != p.workload:
		s.owners[addr] = nil
	}
}

// Append appends the text of the policies to dst.
func (s *Sink) Append(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kind.append(dst, s.advise())
}
