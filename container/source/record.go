// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Name is the name of the data source.
const Name = "containers"

// kind is the kind of a change: the text of event_type.
type kind string

const (
	// precreate: an OCI runtime is about to make the container.
	precreate kind = "PRECREATE"
	created   kind = "CREATED"
	deleted   kind = "DELETED"
)

// The places of the fields in a record. An id is the name of a folder, of at most 255 bytes; the clients of runtimes keep 4 KiB of a name.
const (
	typeSize   = 16
	idOff      = typeSize
	idSize     = 256
	cgroupOff  = idOff + idSize
	mountOff   = cgroupOff + 8
	nameOff    = mountOff + 8
	nameSize   = 4096
	recordSize = nameOff + nameSize
)

// Schema returns the schema of the data source.
func Schema() *event.Schema {
	text := func(name string, off, size uint32, doc string) event.Field {
		f := event.Field{Name: name, Kind: event.String, Types: []string{"char"}, Off: off, Size: size, Parent: event.NoParent}
		f.Ann.Description = doc
		return f
	}
	number := func(name string, off uint32, doc string) event.Field {
		f := event.Field{Name: name, Kind: event.Uint, Types: []string{"__u64"}, Off: off, Size: 8, Parent: event.NoParent}
		f.Ann.Description, f.Ann.Columns.Hidden = doc, true
		return f
	}
	s := &event.Schema{Name: Name, Single: true, Size: recordSize, Fields: []event.Field{
		text("event_type", 0, typeSize, "PRECREATE, CREATED or DELETED"),
		text("container_id", idOff, idSize, "The id of the container"),
		number("cgroup_id", cgroupOff, "The id of the container's control group"),
		number("mntns_id", mountOff, "The inode number of the container's mount namespace"),
		text("name", nameOff, nameSize, "The name of the container"),
		{Name: "container_config", Kind: event.String, Types: []string{"char"}, Off: recordSize, Rest: true, Parent: event.NoParent},
	}}
	s.Fields[0].Ann.Columns.Width = len(precreate)
	s.Fields[1].Ann.Columns.Width = container.IDWidth
	config := &s.Fields[len(s.Fields)-1].Ann
	config.Description, config.Columns.Hidden = "The OCI configuration of the container, as JSON", true
	return s
}

// Annotations returns the annotations of the data source: those of the gadget, and that the command line shows no event of it unless the user
// names an output mode.
func Annotations(own *annotation.Spec) *annotation.Spec {
	base := &annotation.Spec{}
	if own == nil || own.Source[annotation.SupportedModesKey] == "" {
		base.SetSource(annotation.DefaultModeKey, "none")
	}
	return annotation.Merge(base, own)
}

// records are the records of a batch, one after the other. The memory is used again for the next batch.
type records struct {
	bytes []byte
	ends  []int
}

// keptBytes is the most memory that is kept from one batch to the next.
const keptBytes = 64 << 10

func (r *records) reset() {
	r.bytes, r.ends = r.bytes[:0], r.ends[:0]
	if cap(r.bytes) > keptBytes {
		r.bytes = nil
	}
}

// add appends a record.
func (r *records) add(c change, config []byte) {
	start := len(r.bytes)
	r.bytes = append(r.bytes, make([]byte, recordSize)...)
	rec := r.bytes[start:]
	copy(rec[:typeSize], c.kind)
	copy(rec[idOff:][:idSize], c.ID)
	binary.LittleEndian.PutUint64(rec[cgroupOff:], c.CgroupID)
	binary.LittleEndian.PutUint64(rec[mountOff:], c.MountNS)
	copy(rec[nameOff:][:nameSize], c.Name)
	r.bytes = append(r.bytes, config...)
	r.ends = append(r.ends, len(r.bytes))
}

// rows appends the records to rows.
func (r *records) rows(rows [][]byte) [][]byte {
	start := 0
	for _, end := range r.ends {
		rows = append(rows, r.bytes[start:end:end])
		start = end
	}
	return rows
}
