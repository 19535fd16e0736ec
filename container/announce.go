// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import "slices"

// Announce says that an OCI runtime is about to make a container. Of the identity only the id, the runtime and the bundle are
// known by then. A container that the set knows already is not announced, so that an announcement never comes after its container. Announce
// returns when all subscribers know.
func (s *Set) Announce(id Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[id.ID] != nil {
		return
	}
	for _, tell := range s.announced {
		(*tell)(id)
	}
}

// OnAnnounced calls tell for each container that is announced, until the caller calls the returned function. Not every container is
// announced, and the runtime may fail to make one that is. The calls of tell, and those of [Set.Subscribe], come one after the other.
func (s *Set) OnAnnounced(tell func(Identity)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &tell
	s.announced = append(s.announced, sub)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.announced = slices.DeleteFunc(s.announced, func(o *func(Identity)) bool { return o == sub })
	}
}

// Host returns what stands for the host: a container without a name, with the namespaces of the process that made the set, and the
// root of the control groups.
func (s *Set) Host() *Container {
	root := unifiedRoot()
	return &Container{MountNS: s.hostMount, NetNS: s.hostNet, HostNetwork: true, Cgroup: "/", CgroupID: cgroupID(root, "/")}
}
