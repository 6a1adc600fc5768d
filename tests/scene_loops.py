"""The losses of a gallery filter, pair after pair."""


def pairs_loop(person_ids, owners, num_scenes):
    """Sets of people, scene after scene; unlabelled ones by their place."""
    names = [
        ('known', person) if person >= 0 else ('place', place)
        for place, person in enumerate(person_ids)
    ]
    inside = [
        {name for name, owner in zip(names, owners) if owner == scene}
        for scene in range(num_scenes)
    ]
    positive, negative = [], []
    for scene in range(num_scenes):
        known = {name for name in inside[scene] if name[0] == 'known'}
        positive.append([name in inside[scene] for name in names])
        negative.append(
            [
                name not in inside[scene]
                and (name[0] == 'known' or not known & inside[owner])
                for name, owner in zip(names, owners)
            ]
        )
    return positive, negative


def loss_loop(similarities, positive, negative, temperature):
    terms = []
    for q in range(similarities.size(1)):
        rows = range(similarities.size(0))
        s = [similarities[i, q] / temperature for i in rows]
        others = sum(s[i].exp() for i in rows if negative[i, q])
        terms += [
            -(s[i].exp() / (s[i].exp() + others)).log()
            for i in rows
            if positive[i, q]
        ]
    if not terms:
        return similarities.sum() * 0
    return sum(terms) / len(terms)
