// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// source reads the rows of a data source.
type source struct {
	// pod are the texts about a pod, in the order of the constants below.
	pod [podTexts]event.Reader

	addr, port, proto, egress event.Reader
	// local is the pod's own address, if the data source has it.
	local    event.Reader
	hasLocal bool
}

// The texts about a pod.
const (
	textNamespace = iota
	textPod
	textLabels
	textOwner
	textContainer
	podTexts
)

// between separates texts, none of which has it.
const between = "\x00"

// newSource finds the fields, and returns those that it reads.
func newSource(s *event.Schema) (*source, event.FieldSet, error) {
	src := &source{}
	f := finder{schema: s}
	f.find(&src.addr, "endpoint.addr")
	f.find(&src.port, "endpoint.port")
	f.find(&src.proto, "endpoint.proto_raw", "endpoint.proto") // the second may be the name of the first
	f.find(&src.egress, "egress")
	if len(f.missing) > 0 {
		return nil, f.reads, fmt.Errorf("policies need the peer of each connection, and data source %q has no %s",
			s.ID(), strings.Join(f.missing, ", "))
	}
	for i, name := range [podTexts]string{"k8s.namespace", "k8s.podName", "k8s.podLabels", "k8s.owner.name", "runtime.containerName"} {
		f.find(&src.pod[i], name)
	}
	if len(f.missing) > 0 {
		return nil, f.reads, fmt.Errorf("policies need the pod of each connection, and data source %q has no %s",
			s.ID(), strings.Join(f.missing, ", "))
	}
	src.hasLocal = f.find(&src.local, "local.addr")
	return src, f.reads, f.err
}

// finder makes readers.
type finder struct {
	schema  *event.Schema
	reads   event.FieldSet
	missing []string
	err     error
}

// find makes a reader of the first field that there is.
func (f *finder) find(r *event.Reader, names ...string) bool {
	for _, name := range names {
		i, ok := f.schema.Lookup(name)
		if !ok || !f.schema.Fields[i].HasValue() {
			continue
		}
		f.reads.Add(i)
		var err error
		if *r, err = f.schema.Reader(i); err != nil && f.err == nil {
			f.err = err
		}
		return true
	}
	f.missing = append(f.missing, names[len(names)-1])
	return false
}

// appendPod appends what a row says about its pod.
func (src *source) appendPod(dst []byte, b *event.Batch, row int) []byte {
	for i := range src.pod {
		if i > 0 {
			dst = append(dst, between...)
		}
		start := len(dst)
		dst = src.pod[i].Append(dst, b, row)
		for j := start; j < len(dst); j++ { // only in a recording that others made
			if dst[j] == between[0] {
				dst[j] = '?'
			}
		}
	}
	return dst
}

// appendConnection appends what a row says about the connection of a pod.
func (src *source) appendConnection(dst []byte, p *pod, b *event.Batch, row int) []byte {
	dst = binary.NativeEndian.AppendUint64(dst, uint64(p.number))
	for _, r := range []*event.Reader{&src.port, &src.proto, &src.egress} {
		n, _ := r.Uint(b, row)
		dst = binary.NativeEndian.AppendUint64(dst, n)
	}
	dst = src.addr.Append(dst, b, row)
	if src.hasLocal {
		dst = append(dst, between...)
		dst = src.local.Append(dst, b, row)
	}
	return dst
}

// connection returns the connection of a row; false if it is none that policies are about.
func (src *source) connection(p *pod, b *event.Batch, row int) (connection, bool) {
	addr, ok := addrOf(&src.addr, b, row)
	number, _ := src.port.Uint(b, row)
	proto, _ := src.proto.Uint(b, row)
	egress, _ := src.egress.Uint(b, row)
	at := port{uint16(number), protocol(proto)}
	if !ok || number == 0 || number > 0xffff || proto > 0xff || at.protocol.name() == "" {
		return connection{}, false
	}
	return connection{pod: p, peer: addr, port: at, egress: egress != 0}, true
}

func (src *source) localAddr(b *event.Batch, row int) (netip.Addr, bool) {
	if !src.hasLocal {
		return netip.Addr{}, false
	}
	return addrOf(&src.local, b, row)
}

// addrOf reads an address, if it is one of a single machine beside this one.
func addrOf(r *event.Reader, b *event.Batch, row int) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(r.String(b, row))
	addr = addr.Unmap().WithZone("")
	return addr, err == nil && !addr.IsLoopback() && !addr.IsMulticast() && !addr.IsUnspecified()
}
