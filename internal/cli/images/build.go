// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// Keep packs a gadget that was built for several architectures, by their Go names, and keeps the image in the store under a name. Cost is what its programs
// cost the verifier of this kernel; nil: nobody knows.
func (e *Env) Keep(ctx context.Context, text string, gadgets map[string]oci.Gadget, meta *metadata.Metadata, cost map[string]int) error {
	name, err := e.defaults().Parse(text)
	if err != nil {
		return fmt.Errorf("--tag: %w", err)
	}
	if name.Digest != "" {
		return fmt.Errorf("--tag: %q: the digest is known once the image is built", text)
	}
	created, err := creationTime()
	if err != nil {
		return err
	}
	annotations := map[string]string{ocispec.AnnotationCreated: created.Format(time.RFC3339)} // all that images without a gadget.yaml have
	for _, g := range gadgets {
		if g.Metadata != nil {
			annotations = oci.Annotations(meta.Name, meta.Description, meta.HomepageURL, meta.DocumentationURL, meta.SourceURL, e.Version, meta.Annotations, created)
		}
	}
	if len(cost) > 0 {
		addCost(annotations, cost)
	}
	return withStore(func(s *store.Store) error {
		d, err := s.Add(ctx, name.String(), func() (ocispec.Descriptor, error) {
			d, err := oci.Pack(ctx, s, gadgets, annotations)
			d.Annotations = map[string]string{store.BuiltAnnotation: "true"}
			return d, err
		})
		if err != nil {
			return err
		}
		if err := e.prune(ctx, s); err != nil {
			return err
		}
		return e.say("Successfully built %s", withDigest(name, d))
	})
}

// costAnnotation begins the names of annotations that say what programs cost the verifier of a kernel, whose release follows: "trace_open_exit=9297 ...", in
// instructions that it processed.
const costAnnotation = "io.gizmo.verifier."

// addCost adds the annotation about this kernel.
func addCost(annotations map[string]string, cost map[string]int) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(cost)) {
		parts = append(parts, fmt.Sprintf("%s=%d", name, cost[name]))
	}
	annotations[costAnnotation+uname.Release()] = strings.Join(parts, " ")
}

// costsOf returns what annotations say that a program costs: "9297 on Linux 6.18.44".
func costsOf(annotations map[string]string, program string) (costs []string) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		kernel, ok := strings.CutPrefix(key, costAnnotation)
		if !ok {
			continue
		}
		for part := range strings.FieldsSeq(annotations[key]) {
			if name, count, _ := strings.Cut(part, "="); name == program {
				costs = append(costs, count+" on Linux "+kernel)
			}
		}
	}
	return costs
}

// creationTime is now, or what $SOURCE_DATE_EPOCH says: then the same source makes the same image.
func creationTime() (time.Time, error) {
	const variable = "SOURCE_DATE_EPOCH"
	text := os.Getenv(variable)
	if text == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("$%s: want seconds since 1970, got %q", variable, text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
