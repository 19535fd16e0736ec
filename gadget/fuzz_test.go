// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// FuzzParse holds Parse to its promise for files from anywhere: an image or an error, soon, without
// a panic and without taking all the memory there is.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*", "errors/*"} {
		for _, name := range fixture.Names(f, pattern) {
			r := fixture.Compile(f, name)
			f.Add(r.Object, r.Metadata)
		}
	}
	yaml, err := os.ReadFile(fixture.Path(f, "tracer/gadget.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fixture.Compile(f, "records").Object, yaml)
	f.Add([]byte("\x7fELF"), []byte(nil))
	f.Fuzz(func(t *testing.T, object, yaml []byte) {
		began, before := time.Now(), allocated()
		img := parseAnything(object, yaml)
		if n := allocated() - before; n > 256<<20 {
			t.Errorf("%d bytes allocated for an object of %d", n, len(object))
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("an object of %d bytes took %v", len(object), d)
		}
		if img != nil {
			checkImage(t, img)
		}
	})
}

func parseAnything(object, yaml []byte) *image.Image {
	meta, err := metadata.Parse("gadget.yaml", yaml)
	if err != nil {
		meta = nil
	}
	img, err := image.Parse(bytes.NewReader(object), meta)
	if err != nil {
		return nil
	}
	return img
}

// checkImage calls everything that an image offers without a kernel.
func checkImage(t *testing.T, img *image.Image) {
	_ = Supported(img)
	for i := range img.Params {
		p := &img.Params[i]
		_, _ = p.Type(), p.IsBool()
		if _, err := p.Parse(p.Default); err != nil && p.Default != "" && p.OneOf == nil && img.Metadata.Params.EBPF[p.Var].DefaultValue == nil {
			t.Errorf("the default is no value: %v", err)
		}
	}
	for i := range img.DataSources {
		d := &img.DataSources[i]
		row := make([]byte, d.Schema.Size)
		for j := range d.Schema.Fields {
			f := &d.Schema.Fields[j]
			if f.Rest {
				_ = f.Trailing(row)
			} else if f.Off+f.Size > d.Schema.Size {
				t.Errorf("field %q lies outside of its record", f.Name)
			}
		}
	}
	if spec, err := img.Spec(nil, nil); err == nil {
		_ = prepare.FixVariables(spec)
	}
}

// A file with wrong bytes parses or is an error; it does not make Parse panic.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	object := fixture.Compile(t, "minimal").Object
	for range 1500 {
		damaged := bytes.Clone(object)
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(damaged) - 8)
			switch rng.IntN(4) {
			case 0:
				damaged[at] ^= 1 << rng.IntN(8)
			case 1:
				damaged[at] = byte(rng.Uint32())
			case 2:
				binary.LittleEndian.PutUint32(damaged[at&^3:], 1<<rng.IntN(32)-1)
			default:
				binary.LittleEndian.PutUint64(damaged[at&^7:], 1<<rng.IntN(64)-1)
			}
		}
		if img := parseAnything(damaged, nil); img != nil {
			checkImage(t, img)
		}
	}
}

// allocated is the sum of all allocations so far in bytes.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
