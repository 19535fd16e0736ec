// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// poison is the call that the library puts into a program where it reads something that the kernel's types do not
// have. The verifier does not know the function.
const poison = "unknown#195896080"

// nameType replaces the verifier's error about such a call by one about the type that is missing.
func (g *Gadget) nameType(p *image.Program, err error) error {
	var ve *VerifierError
	if p == nil || !errors.As(err, &ve) || !strings.Contains(ve.Reason, poison) {
		return err
	}
	spec, specErr := g.image.Spec(nil, nil)
	if specErr != nil {
		return err
	}
	relocation := relocationAt(spec.Programs[p.Name].Instructions, poisonedAt(ve.Log))
	if relocation == nil {
		return err
	}
	ve.Absent = true
	ve.Reason = missingType(fmt.Sprint(relocation))
	return err
}

var poisonedCall = regexp.MustCompile(`^(\d+): .*\bcall ` + poison)

// poisonedAt finds the instruction in the verifier's log; -1 if it is not there.
func poisonedAt(log []string) int {
	for _, line := range slices.Backward(log) {
		if parts := poisonedCall.FindStringSubmatch(strings.TrimSpace(line)); parts != nil {
			n, _ := strconv.Atoi(parts[1])
			return n
		}
	}
	return -1
}

// relocationAt returns the relocation of the instruction that the kernel has at place n; nil if there
// is none.
func relocationAt(code asm.Instructions, n int) *btf.CORERelocation {
	if n < 0 {
		return nil
	}
	for it := code.Iterate(); it.Next(); {
		if int(it.Offset) == n {
			return btf.CORERelocationMetadata(it.Ins)
		}
	}
	return nil
}

var relocatedType = regexp.MustCompile(`\b(Struct|Union|Enum|Typedef):"([^"]+)"`)

// missingType says which type or member a relocation, given in the library's notation, does not find.
func missingType(relocation string) string {
	parts := relocatedType.FindStringSubmatch(relocation)
	if parts == nil {
		return "it reads something that the kernel's types (BTF) do not have: " + relocation
	}
	name, flavour, _ := strings.Cut(parts[2], "___")
	text := fmt.Sprintf("it reads a member of %s %s that the kernel's types (BTF) do not have", strings.ToLower(parts[1]), name)
	if flavour != "" {
		text += fmt.Sprintf(" in the form that the source calls %s___%s", name, flavour)
	}
	return text + "; the source can ask bpf_core_field_exists() first"
}
