// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes loaded objects of public and sensitive areas: Name, Qualified Name and hierarchy
//! (Part 1, 16 and 27).

use crate::crypto::hash::Hasher;
use crate::state::State;
use crate::state::object::Object;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::digest::Name;
use crate::structure::handle::Handle;
use crate::structure::public::Public;
use crate::structure::sensitive::Sensitive;
use crate::wire::Result;

/// The Qualified Name: the digest of the parent's and of the Name; empty without an algorithm.
pub fn qualified_name(public: &Public, parent: &[u8], name: &Name) -> Result<Name> {
    let Some(algorithm) = public.name_algorithm else { return Ok(Name::EMPTY) };
    let mut hasher = Hasher::new(algorithm);
    hasher.update(parent);
    hasher.update(name);
    let mut qualified = Name::new(&algorithm.id().to_be_bytes())?;
    qualified.append(&hasher.finish())?;
    Ok(qualified)
}

impl State {
    /// The object of checked areas under a parent, which is an object or a hierarchy.
    pub fn child(
        &self,
        parent: Handle,
        public: Public,
        sensitive: Option<Sensitive>,
    ) -> Result<Object> {
        let name = public.name()?;
        let ancestor = self.find_object(parent);
        let hierarchy = ancestor.map_or(parent, |ancestor| ancestor.hierarchy);
        let parent_name = match ancestor {
            Some(ancestor) => ancestor.qualified_name.clone(),
            None => Name::new(&parent.0.to_be_bytes())?,
        };
        let is_st_clear = public.has(ObjectAttributes::ST_CLEAR)
            || ancestor.is_some_and(|ancestor| ancestor.is_st_clear);
        Ok(Object {
            qualified_name: qualified_name(&public, &parent_name, &name)?,
            name,
            public,
            sensitive,
            hierarchy,
            is_external: false,
            is_primary: ancestor.is_none(),
            is_st_clear,
            is_temporary: hierarchy == Handle::NULL
                || ancestor.is_some_and(|ancestor| ancestor.is_temporary),
        })
    }
}
